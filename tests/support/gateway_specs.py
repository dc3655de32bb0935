"""What the tests of the gateway specifications are made of: content of every shape, public or private, and questions
about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from af.protocols.ipfs import car, dagpb, hamt, unixfs
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.dagpb import Kind, Link, UnixFS
from tests.support.gateway import Answer, Served, served

PATH_HOST = "127.0.0.1"
"""A path gateway: everything is served in place."""
GATEWAY_HOST = "example.com"
"""Of AF_GATEWAY_HOSTS: content gets a host of its own below it, and what a front says is believed."""
DNSLINK_HOST = "dnslink.example"
IMMUTABLE = "public, max-age=29030400, immutable"
LISTING = "public, max-age=604800, stale-while-revalidate=2678400"
RAW, CAR = "application/vnd.ipld.raw", "application/vnd.ipld.car"
RECORD = "application/vnd.ipfs.ipns-record"
SMALL_CHUNKS = unixfs.Profile(name="small chunks", chunk_bytes=100, max_links=4, directory_estimate="block")
SHARDED = unixfs.Profile(
    name="sharded", chunk_bytes=1 << 20, max_links=1024, directory_max_bytes=500, directory_estimate="block"
)


def identity(codec: int, block: bytes) -> CID:
    """A CID that holds its block (at most 127 bytes)."""
    assert len(block) < 128
    head = bytes((0x01, codec)) if codec < 0x80 else bytes((0x01, codec & 0x7F | 0x80, codec >> 7))
    return cids.from_bytes(head + bytes((0x00, len(block))) + block)


class Content:
    """A running gateway, and what a test puts there. What is ``hidden`` never becomes public."""

    def __init__(self, gateway: Served) -> None:
        self.gateway = gateway
        self.hidden: set[CID] = set()

    def put(self, codec: int, block: bytes, *, public: bool = True) -> CID:
        cid = cids.of(codec, block)
        self.gateway.blocks.add(cid, block)
        (self.gateway.blocks.public if public else self.hidden).add(cid)
        return cid

    def folder(
        self, files: Mapping[str, bytes | unixfs.Entry], profile: unixfs.Profile = unixfs.DEFAULT_PROFILE
    ) -> CID:
        root = self.gateway.blocks.folder(files, profile)
        self.publish()
        return root

    def file(self, content: bytes, profile: unixfs.Profile = SMALL_CHUNKS) -> unixfs.Entry:
        entry = self.gateway.blocks.file(content, profile)
        self.publish()
        return entry

    def publish(self) -> None:
        self.gateway.blocks.publish()
        self.gateway.blocks.public -= self.hidden

    def node(self, links: Iterable[Link], message: UnixFS, *, public: bool = True) -> CID:
        """A dag-pb block as it is written here, whether or not it makes sense."""
        return self.put(cids.DAG_PB, dagpb.encode_node(links, dagpb.encode_unixfs(message)), public=public)

    def directory(self, links: Mapping[bytes, CID], *, public: bool = True) -> CID:
        """A directory that names any CIDs, here or not."""
        entries = [Link(cid, name, 1) for name, cid in sorted(links.items())]
        return self.node(entries, UnixFS(kind=Kind.DIRECTORY), public=public)

    def file_of(self, parts: Iterable[tuple[CID, int]]) -> CID:
        """A file's root over ``(cid, size)``."""
        listed = list(parts)
        sizes = tuple(size for _, size in listed)
        message = UnixFS(kind=Kind.FILE, size_bytes=sum(sizes), block_sizes=sizes)
        return self.node([Link(cid, b"", size) for cid, size in listed], message)

    def shard(self, links: Mapping[int, tuple[bytes, CID]], *, fanout: int = 256, slots: int | None = None) -> CID:
        """A HAMT node: slot -> (name behind the slot's digits, CID). ``slots`` replaces the bitfield."""
        digits = len(f"{fanout - 1:X}")
        bitfield = sum(1 << slot for slot in links) if slots is None else slots
        message = UnixFS(
            kind=Kind.HAMT_SHARD,
            data=bitfield.to_bytes((bitfield.bit_length() + 7) // 8, "big"),
            hash_type=hamt.MURMUR3_X64_64,
            fanout=fanout,
        )
        return self.node(
            [Link(cid, b"%0*X" % (digits, slot) + name, 1) for slot, (name, cid) in sorted(links.items())], message
        )

    def ask(self, path: str, *, host: str = PATH_HOST, method: str = "GET", **headers: str) -> Answer:
        return self.gateway.ask(host, path, method=method, **headers)

    def car(self, path: str, /, *, accept: str = "", **query: str) -> list[CID]:
        """The CIDs of a CAR in order, each block verified. Parameters are written with underscores for ``-``."""
        given = {name.replace("_", "-"): value for name, value in query.items()}
        headers = {"Accept": accept} if accept else {}
        separator = "&" if "?" in path else "?"
        asked = path + separator + urlencode({**({} if accept else {"format": "car"}), **given}, safe=":*")
        answer = self.ask(asked, **headers)
        assert answer.status == 200, (answer.status, answer.body[:200])
        return [cid for cid, _ in blocks_of(answer.body)]

    def until_it_breaks(self, path: str, *, host: str = PATH_HOST) -> tuple[int, bytes]:
        """Status and all bytes of the body, chunk framing included, of an answer that may break off."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        head, _, body = self.gateway.exchange(request.encode()).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body


def blocks_of(archive: bytes) -> list[tuple[CID, bytes]]:
    """A CAR's blocks, each proven to be what its CID says."""
    reader = car.CarReader()
    found = list(reader.feed(archive))
    reader.finish()
    assert all(cids.verify(cid, block) for cid, block in found)
    return found


def root_of(archive: bytes) -> CID:
    reader = car.CarReader()
    list(reader.feed(archive))
    assert reader.roots is not None
    (root,) = reader.roots
    return root


def same_headers(first: Answer, second: Answer) -> bool:
    """Whether two answers say the same of their content; leaves out what differs by nature."""
    differing = {"date", "x-request-id", "transfer-encoding"}
    return {**first.headers, **dict.fromkeys(differing)} == {**second.headers, **dict.fromkeys(differing)}


@contextmanager
def content(folder: Path, **settings: Any) -> Iterator[Content]:
    """A gateway of AF_GATEWAY_HOSTS and AF_DNSLINK_MAP."""
    settings = {"gateway_hosts": GATEWAY_HOST, "dnslink_map": f"{DNSLINK_HOST}:/ipns/elsewhere.example"} | settings
    with served(folder, **settings) as gateway:
        yield Content(gateway)
