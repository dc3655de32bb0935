from __future__ import annotations

import pytest

from af.server.addresses import Kind, classify, host_name


@pytest.mark.parametrize(
    "header, name",
    [
        ("localhost:8787", "localhost"),
        ("LocalHost", "localhost"),
        ("example.org.:443", "example.org"),
        ("127.0.0.1:8787", "127.0.0.1"),
        ("[::1]:8787", "::1"),
        ("", ""),
    ],
)
def test_host_name_drops_port_case_and_final_dot(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "host, kind, service, shows_pages",
    [
        ("localhost", Kind.MAIN, "", True),
        ("cloud.example", Kind.MAIN, "", True),
        ("127.0.0.1", Kind.LITERAL, "", False),
        ("::1", Kind.LITERAL, "", False),
        ("fe80::1%eth0", Kind.LITERAL, "", False),
        ("api.cloud.example", Kind.SERVICE, "api", False),
        ("app.cloud.example", Kind.SERVICE, "app", True),
        ("auth.localhost", Kind.SERVICE, "auth", True),
        ("gateway.localhost", Kind.SERVICE, "gateway", False),
        ("uploads.cloud.example", Kind.SERVICE, "uploads", False),
        ("blog.cloud.example", Kind.OTHER, "", False),
        ("api.blog.cloud.example", Kind.OTHER, "", False),
        ("evil.test", Kind.OTHER, "", False),
        ("notcloud.example", Kind.OTHER, "", False),
        ("127.0.0.1.evil.test", Kind.OTHER, "", False),
        ("", Kind.OTHER, "", False),
    ],
)
def test_only_our_own_names_show_pages(host: str, kind: Kind, service: str, shows_pages: bool) -> None:
    address = classify(host, "cloud.example")
    assert (address.kind, address.service, address.shows_pages) == (kind, service, shows_pages)
