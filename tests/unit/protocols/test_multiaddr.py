"""Multiaddrs that name HTTP servers, and those that do not."""

from __future__ import annotations

import pytest

from af.protocols.multiaddr import InvalidMultiaddr, http_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/ip4/203.0.113.1/tcp/8080/http", "http://203.0.113.1:8080"),
        ("/ip4/203.0.113.1/tcp/80/http/", "http://203.0.113.1"),
        ("/ip6/2001:db8::1/tcp/443/https", "https://[2001:db8::1]"),
        ("/dns/Example.org/tcp/443/https", "https://example.org"),
        ("/dns4/example.org/tcp/8443/tls/http", "https://example.org:8443"),
        ("/dns6/example.org/tcp/443/tls/sni/example.org/http/p2p/12D3KooW", "https://example.org"),
        ("/dns/example.org/tcp/443/https/http-path/a%2Fb", "https://example.org/a/b"),
        ("/dns/example.org/tcp/443/https/http-path/%2F", "https://example.org"),
        ("/dns/example.org/tcp/443/https/http-path/a%3Fb%23c", "https://example.org/a%3Fb%23c"),
    ],
)
def test_http_servers_become_addresses(text: str, url: str) -> None:
    assert http_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "https://example.org",
        "/p2p/12D3KooW",
        "/ip4/203.0.113.1/tcp/4001",
        "/ip4/203.0.113.1/tcp/4001/p2p/12D3KooW",
        "/ip4/203.0.113.1/udp/443/quic-v1",
        "/ip4/203.0.113.256/tcp/80/http",
        "/ip4/0x7f.1/tcp/80/http",
        "/ip6/::g/tcp/80/http",
        "/ip6/fe80::1%eth0/tcp/80/http",
        "/dns4/exa mple/tcp/80/http",
        "/dns4/user@example.org/tcp/80/http",
        "/dns4//tcp/80/http",
        "/dnsaddr/example.org/tcp/80/http",
        "/dns4/example.org/tcp/0/http",
        "/dns4/example.org/tcp/65536/http",
        "/dns4/example.org/tcp/8٠/http",
        "/dns4/example.org/tcp/80x/http",
        "/dns4/example.org/tcp/80/ws",
        "/dns4/example.org/tcp/80/http/p2p-circuit",
        "/dns4/example.org/tcp/80/http/http-path/a/http-path/b",
        "/dns4/example.org/tcp/80/http\n",
        "/dns4/" + "a" * 3000 + "/tcp/80/http",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidMultiaddr):
        http_url(text)
