"""DNSLink gateway (https://specs.ipfs.tech/http-gateways/dnslink-gateway/) and the proxy forms of a request
(RFC 9112 §3.2.2)."""

from __future__ import annotations

from af.gateway.names import Place
from tests.support.gateway_specs import DNSLINK_HOST, Content


def test_a_host_with_a_dnslink_is_its_site(specs: Content) -> None:
    specs.gateway.names.places[DNSLINK_HOST] = Place(specs.folder({"index.html": b"site", "d/x": b"x"}), 60)
    answer = specs.ask("/", host=DNSLINK_HOST)
    assert (answer.body, answer.headers["x-ipfs-path"]) == (b"site", f"/ipns/{DNSLINK_HOST}/")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert b"x" in specs.ask("/d/", host=DNSLINK_HOST).body
    assert specs.ask("/none", host=DNSLINK_HOST).status == 404
    sent = f"GET http://{DNSLINK_HOST}/d/x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n"
    assert specs.gateway.exchange(sent.encode()).endswith(b"\r\n\r\nx")
    tunnel = f"CONNECT {DNSLINK_HOST}:80 HTTP/1.1\r\nHost: {DNSLINK_HOST}:80\r\n\r\n"
    assert specs.gateway.exchange(tunnel.encode()).startswith(b"HTTP/1.1 200")


def test_there_is_no_tunnel_to_anywhere_else(specs: Content) -> None:
    for target in ("other.example:443", "127.0.0.1:22", "169.254.169.254:80", "[::1]:22"):
        sent = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
        assert specs.gateway.exchange(sent.encode()).startswith(b"HTTP/1.1 403"), target
