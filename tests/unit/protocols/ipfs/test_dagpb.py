"""dag-pb and UnixFS messages: exact bytes out, strict reading in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import cid, dagpb
from af.protocols.ipfs.dagpb import Kind, Link, Node, UnixFS
from af.protocols.ipfs.errors import InvalidBlock

ADDRESS = cid.of(cid.RAW, b"x")
HASH = b"\x0a\x24" + ADDRESS

links = st.builds(
    Link,
    st.binary(max_size=9).map(lambda data: cid.of(cid.RAW, data)),
    st.binary(max_size=300),
    st.integers(min_value=0, max_value=2**63 - 1),
)
numbers = st.integers(min_value=0, max_value=2**63 - 1)
messages = st.builds(
    UnixFS,
    kind=st.sampled_from(Kind),
    data=st.none() | st.binary(max_size=300),
    size_bytes=st.none() | numbers,
    block_sizes=st.lists(numbers, max_size=20).map(tuple),
    hash_type=st.none() | numbers,
    fanout=st.none() | numbers,
    mode=st.none() | st.integers(min_value=0, max_value=0o7777),
    mtime=st.none() | st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999)),
)


def field(tag: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes([tag, len(value)]) + value


@given(st.lists(links, max_size=10), st.none() | st.binary(max_size=300))
def test_nodes_round_trip(links: list[Link], data: bytes | None) -> None:
    assert dagpb.decode_node(dagpb.encode_node(links, data)) == Node(tuple(links), data)


@given(links)
def test_the_size_of_a_link_is_known_before_it_is_encoded(link: Link) -> None:
    assert dagpb.encoded_link_size(link) == len(dagpb.encode_link(link))


@given(messages)
def test_unixfs_messages_round_trip(message: UnixFS) -> None:
    assert dagpb.decode_unixfs(dagpb.encode_unixfs(message)) == message


def test_links_come_before_data_in_what_we_write() -> None:
    block = dagpb.encode_node([Link(ADDRESS, b"n", 5)], b"d")
    assert block == field(0x12, HASH + b"\x12\x01n\x18\x05") + b"\x0a\x01d"


def test_data_before_links_is_read_as_old_writers_made_it() -> None:
    node = dagpb.decode_node(b"\x0a\x01d" + field(0x12, HASH))
    assert node == Node((Link(ADDRESS, b"", 0),), b"d")


@pytest.mark.parametrize(
    "block",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x0a\x01d\x0a\x01e",  # Data twice
        field(0x12, HASH) + b"\x0a\x01d" + field(0x12, HASH),  # interleaved
        field(0x12, b""),  # no Hash
        field(0x12, b"\x12\x01n" + HASH),  # Name before Hash
        field(0x12, HASH + b"\x18\x05\x12\x01n"),  # Tsize before Name
        field(0x12, HASH + HASH),
        field(0x12, HASH + b"\x12\x01n\x12\x01n"),
        field(0x12, HASH + b"\x20\x01"),  # unknown field
        field(0x12, HASH + b"\x18"),  # Tsize cut off at the end of the link
        field(0x12, HASH + b"\x18\x80\x00"),
        field(0x12, b"\x0a\x03\x01\x55\x12"),  # not a CID
        field(0x12, b"\x0a\x25" + ADDRESS + b"\x00"),  # a CID and one byte
        b"\x1a\x01x",  # field 3
        b"\x08\x01",  # Data as a number
        b"\x10\x01",  # Links as numbers
        b"\x0a\x81\x00d",  # padded length
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_malformed_nodes_are_refused(block: bytes) -> None:
    with pytest.raises(InvalidBlock):
        dagpb.decode_node(block)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",  # Type is required
        b"\x18\x01",
        b"\x08\x06",  # unknown Type
        b"\x0a\x01\x02",  # Type as bytes
        b"\x08\x02\x10\x05",  # Data as a number
        b"\x08\x02\x1a\x01\x05",  # filesize as bytes
        b"\x08\x02\x12\x05abc",
        b"\x08\x02\x18",
        b"\x08\x02\x22\x02\x05\x80",  # packed block sizes, cut short
        b"\x08\x02\x22\x01\x80\x18\x01",  # packed block sizes that run into the next field
        b"\x08\x02\x42\x02\x10\x01",  # mtime without seconds
        b"\x08\x02\x42\x07\x08\x01\x15\x00\xca\x9a\x3b",  # a whole second of nanoseconds
        b"\x08\x02\x4b",  # a group
        b"\x08\x02\x00\x01",  # field 0
    ],
)
def test_malformed_unixfs_is_refused(data: bytes | None) -> None:
    with pytest.raises(InvalidBlock):
        dagpb.decode_unixfs(data)


def test_packed_sizes_and_unknown_fields_are_read() -> None:
    unknown = b"\x78\x96\x01" + b"\x7a\x02hi" + b"\x7d\x00\x00\x00\x00" + b"\x79" + bytes(8)
    message = dagpb.decode_unixfs(b"\x08\x02" + unknown + b"\x22\x03\x05\x96\x01")
    assert message == UnixFS(kind=Kind.FILE, block_sizes=(5, 150))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_an_invalid_block(data: bytes) -> None:
    for candidate in (data, b"\x0a" + data, b"\x12" + data, field(0x12, HASH + data[:80])):
        try:
            node = dagpb.decode_node(candidate)
        except InvalidBlock:
            continue
        assert dagpb.decode_node(dagpb.encode_node(node.links, node.data)) == node
    for candidate in (data, b"\x08\x02" + data, b"\x08\x02\x42" + data):
        try:
            message = dagpb.decode_unixfs(candidate)
        except InvalidBlock:
            continue
        assert message.kind in Kind
