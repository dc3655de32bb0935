"""What the gateway reads from requests: hosts, paths, ranges, encodings, types. All of it is hostile."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.core.errors import Error
from af.gateway import conditions, encodings
from af.gateway.addresses import Addresses, Kind
from af.gateway.cache import ByteLru
from af.gateway.requests import parse_path
from af.protocols import media

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
LOCAL = Addresses(domain="localhost", sites_domain="localhost")
PUBLIC = Addresses(domain="example.org", sites_domain="example.site")


@pytest.mark.parametrize(
    "addresses, host, kind, name, port",
    [
        (LOCAL, b"localhost", Kind.MAIN, "localhost", ""),
        (LOCAL, b"LOCALHOST.:8787", Kind.MAIN, "localhost", ":8787"),
        (LOCAL, b"127.0.0.1:8787", Kind.PATHS, "127.0.0.1", ":8787"),
        (LOCAL, b"[::1]:8787", Kind.PATHS, "[::1]", ":8787"),
        (LOCAL, b"gateway.localhost", Kind.PATHS, "gateway.localhost", ""),
        (LOCAL, b"Blog.localhost:80", Kind.SITE, "blog", ":80"),
        (LOCAL, b"a.b.localhost", Kind.OTHER, "a.b.localhost", ""),
        (LOCAL, CID.encode() + b".ipfs.localhost", Kind.IPFS, CID, ""),
        (LOCAL, b"ipfs.localhost", Kind.SITE, "ipfs", ""),
        (LOCAL, b".localhost", Kind.OTHER, ".localhost", ""),
        (LOCAL, b"www.example.net", Kind.OTHER, "www.example.net", ""),
        (LOCAL, b"", Kind.INVALID, "", ""),
        (LOCAL, b"a b", Kind.INVALID, "", ""),
        (LOCAL, b"localhost:port", Kind.INVALID, "", ""),
        (LOCAL, b"user@localhost", Kind.INVALID, "", ""),
        (LOCAL, b"loc\xe4lhost", Kind.INVALID, "", ""),
        (LOCAL, b"a" * 400, Kind.INVALID, "", ""),
        (PUBLIC, b"example.org", Kind.MAIN, "example.org", ""),
        (PUBLIC, b"blog.example.site", Kind.SITE, "blog", ""),
        (PUBLIC, b"blog.example.org", Kind.OTHER, "blog.example.org", ""),
        (PUBLIC, CID.encode() + b".ipfs.example.org", Kind.IPFS, CID, ""),
        (PUBLIC, CID.encode() + b".ipfs.localhost:1", Kind.IPFS, CID, ":1"),
        (PUBLIC, b"localhost", Kind.MAIN, "localhost", ""),
    ],
)
def test_hosts(addresses: Addresses, host: bytes, kind: Kind, name: str, port: str) -> None:
    address = addresses.of(host)
    assert (address.kind, address.name, address.port) == (kind, name, port)


@given(st.binary(max_size=60))
def test_no_host_header_raises(host: bytes) -> None:
    assert LOCAL.of(host).kind in Kind


@given(st.binary(max_size=80))
def test_a_path_is_refused_or_its_segments_name_files(raw: bytes) -> None:
    try:
        path = parse_path(b"/" + raw)
    except Error:
        return
    for segment in path.segments:
        assert segment not in (b"", b".", b"..")
        assert b"/" not in segment
        assert b"\0" not in segment
        segment.decode("utf-8")
    assert path.quoted.isascii()
    assert path.quoted.isprintable()
    assert not path.quoted.startswith("//")
    assert parse_path(path.quoted.encode()).segments == path.segments


@given(st.binary(max_size=60), st.integers(0, 1_000))
def test_ranges_are_inside_apart_and_in_order_of_the_request(header: bytes, size: int) -> None:
    try:
        spans = conditions.ranges(b"bytes=" + header, size)
    except conditions.Unsatisfiable:
        return
    assert all(0 <= span.start < span.stop <= size for span in spans)
    assert sum(span.stop - span.start for span in spans) <= size


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=5), st.integers(1, 100))
def test_ranges_agree_with_a_plain_reading_of_the_rules(pairs: list[tuple[int, int]], size: int) -> None:
    header = b"bytes=" + b", ".join(b"%d-%d" % pair for pair in pairs)
    wanted = [(start, min(stop + 1, size)) for start, stop in pairs if start < size]
    valid = all(start <= stop for start, stop in pairs)
    apart = all(a[1] <= b[0] or b[1] <= a[0] for i, a in enumerate(wanted) for b in wanted[i + 1 :])
    if valid and not wanted:
        with pytest.raises(conditions.Unsatisfiable):
            conditions.ranges(header, size)
        return
    found = [(span.start, span.stop) for span in conditions.ranges(header, size)]
    assert found == (wanted if valid and apart else [])


@pytest.mark.parametrize(
    "header, expected",
    [
        (b"", ()),
        (b"br", ("br",)),
        (b"gzip, deflate, br", ("br", "gzip")),
        (b"gzip;q=1.0, br;q=0.2", ("gzip", "br")),
        (b"x-gzip", ("gzip",)),
        (b"*", ("br", "gzip")),
        (b"*;q=0.1, br;q=0", ("gzip",)),
        (b"br;q=x, gzip", ("gzip",)),
        (b"br;q=2", ()),
        (b"BR , GZIP; Q=0", ("br",)),
        (b"identity", ()),
        (b"br," * 400, ()),
    ],
)
def test_accepted_encodings(header: bytes, expected: tuple[str, ...]) -> None:
    assert encodings.accepted(header) == expected


@given(st.binary(max_size=60))
def test_no_header_breaks_the_parsers(header: bytes) -> None:
    encodings.accepted(header)
    conditions.none_match(header, b'"tag"')
    conditions.match_fails(header, b'"tag"')
    media.type_of(header.decode("latin-1"), header)


def test_compression_is_the_same_every_time() -> None:
    text = b"once upon a time " * 100
    for encoding in ("br", "gzip"):
        assert encodings.compress(text, encoding) == encodings.compress(text, encoding)
    assert gzip.decompress(encodings.compress(text, "gzip")) == text


def test_the_cache_keeps_to_its_bytes_and_drops_the_least_used() -> None:
    dropped: list[str] = []
    cache: ByteLru[int, str] = ByteLru(100, on_drop=dropped.append)
    for key in range(4):
        cache.put(key, str(key), 25)
    assert cache.get(0) == "0"
    cache.put(9, "9", 20)
    assert (cache.get(1), cache.get(0), cache.bytes_held) == (None, "0", 95)
    cache.put(9, "nine", 25)
    cache.put(5, "too large", 26)
    assert (cache.get(5), cache.get(9), cache.bytes_held) == (None, "nine", 100)
    assert dropped == ["1", "9"]


def test_a_cache_without_room_keeps_nothing() -> None:
    cache: ByteLru[int, str] = ByteLru(0)
    cache.put(1, "x", 1)
    assert (cache.get(1), len(cache)) == (None, 0)
