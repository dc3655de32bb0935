"""The ``_redirects`` file of public trees (https://specs.ipfs.tech/http-gateways/web-redirects-file/)."""

from __future__ import annotations

import pytest

from af.protocols.ipfs import cid as cids
from tests.support.gateway import Answer
from tests.support.gateway_specs import GATEWAY_HOST, PATH_HOST, Content

RULES = """# comment
/old /new.txt
/posts/:year/:slug /archive/:year-:slug 302
/splat/* /to/:splat 308
/away https://other.example/x 307
/new.txt /elsewhere
/app/* /new.txt 200
/gone /gone.html 410
/law /law.html 451
/* /404.html 404
"""
PAGES = {"new.txt": b"new", "404.html": b"none", "gone.html": b"gone", "law.html": b"law"}


def ask(specs: Content, rules: bytes, path: str, host: str = "") -> Answer:
    root = cids.to_text(specs.folder({**PAGES, "_redirects": rules}))
    return specs.ask(f"/ipfs/{root}{path}" if host else path, host=host or f"{root}.ipfs.{GATEWAY_HOST}")


@pytest.mark.parametrize(
    "path, status, expected",
    [
        ("/old", 301, "/new.txt"),
        ("/posts/2024/a", 302, "/archive/2024-a"),
        ("/splat/a/b", 308, "/to/a/b"),
        ("/splat/%0d%0aset-cookie:x", 308, "/to/%0D%0Aset-cookie:x"),
        ("/away", 307, "https://other.example/x"),
        ("/new.txt", 200, b"new"),
        ("/app/anything", 200, b"new"),
        ("/gone", 410, b"gone"),
        ("/law", 451, b"law"),
        ("/nothing", 404, b"none"),
    ],
)
def test_rules(specs: Content, path: str, status: int, expected: str | bytes) -> None:
    answer = ask(specs, RULES.encode(), path)
    assert answer.status == status
    assert (answer.body if isinstance(expected, bytes) else answer.headers["location"]) == expected
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "rules", [b"/a /b 301!\n", b"/a /b 999\n", b"nonsense\n", b"/a /b\n" + b"#" * 70_000], ids=lambda rules: rules[:10]
)
def test_a_broken_file_is_500_for_what_does_not_exist_only(specs: Content, rules: bytes) -> None:
    assert ask(specs, rules, "/new.txt").body == b"new"
    assert ask(specs, rules, "/a").status == 500


def test_rules_need_a_host_of_their_own(specs: Content) -> None:
    assert ask(specs, RULES.encode(), "/old", PATH_HOST).status == 404
