"""CAR archives that prove what they hold (https://specs.ipfs.tech/http-gateways/trustless-gateway/): the blocks of the
path, then those of what is at its end, as far as ``dag-scope`` and ``entity-bytes`` ask. Depth first, as they are read,
so memory does not grow with the content; a block that is missing breaks the stream off."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from af.gateway.errors import InvalidAddress
from af.gateway.formats import MEDIA_TYPES, Wanted
from af.gateway.requests import Request
from af.gateway.tree import File, Resolved, ShardedDirectory, Tree
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import LimitExceeded
from af.protocols.ipfs.export import links_of

BLOCKS_MAX = 4_000_000
"""Most blocks of one archive, repeated ones too: with ``dups=y`` a small graph can name very many."""
_BYTES = re.compile(r"(-?\d{1,18}):(\*|-?\d{1,18})")
Block = tuple[CID, bytes]


@dataclass(frozen=True, slots=True)
class Options:
    """``scope`` is all, entity or block. ``first`` and ``last`` are bytes of a file, counted from its end when
    negative; ``last`` is inclusive, and `None` is the end."""

    scope: str
    first: int
    last: int | None
    dups: bool

    @property
    def content_type(self) -> bytes:
        return b"%b; version=1; order=dfs; dups=%b" % (MEDIA_TYPES["car"], b"y" if self.dups else b"n")

    def etag(self, resolved: Resolved) -> bytes:
        """Weak: one archive may be written in several ways."""
        asked = (self.scope, self.first, self.last, self.dups, tuple(map(bytes, resolved.trail)))
        digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
        return f'W/"{cids.to_text(resolved.cid)}.car.{digest}"'.encode()

    def span(self, size: int) -> tuple[int, int]:
        """The bytes wanted of a file of ``size`` bytes: first, and the one behind the last."""
        first = max(0, size + self.first) if self.first < 0 else self.first
        if self.last is None:
            return first, size
        return first, min(size, (size + self.last if self.last < 0 else self.last) + 1)


def options(request: Request, wanted: Wanted) -> Options:
    """What the request asks for; query parameters win over those of Accept (IPIP-523).

    :raises InvalidAddress: a parameter has a value that does not exist
    """
    given = {
        name: request.parameter(name) for name in ("dag-scope", "entity-bytes", "car-version", "car-order", "car-dups")
    }
    version = given["car-version"] or wanted.parameters.get("version", "1")
    order = given["car-order"] or wanted.parameters.get("order", "dfs")
    dups = given["car-dups"] or wanted.parameters.get("dups", "n")
    scope = given["dag-scope"] or ("all" if given["entity-bytes"] is None else "entity")
    if version != "1":
        raise InvalidAddress(f"CAR version {version[:8]!r} is not made here; version 1 is.")
    if order not in ("dfs", "unk") or dups not in ("y", "n"):
        raise InvalidAddress("The order of a CAR is dfs or unk, its dups are y or n.")
    if scope not in ("all", "entity", "block"):
        raise InvalidAddress("dag-scope must be all, entity or block.")
    first, last = _entity_bytes(given["entity-bytes"] or "0:*")
    return Options(scope, first, last, dups == "y")


def _entity_bytes(text: str) -> tuple[int, int | None]:
    match = _BYTES.fullmatch(text)
    if match is None:
        raise InvalidAddress("entity-bytes is written from:to, two numbers, or from:* up to the end.")
    first, last = int(match[1]), None if match[2] == "*" else int(match[2])
    if last is not None and (first < 0) == (last < 0) and last < first:
        raise InvalidAddress("entity-bytes ends before it begins.")
    return first, last


async def archive(tree: Tree, resolved: Resolved, chosen: Options) -> AsyncIterator[bytes]:
    """The CAR. Blocks inside of their CID (identity) are never written."""
    yield car.header([resolved.cids[0]])
    written: set[CID] = set()
    count = 0
    async for cid, data in _blocks(tree, resolved, chosen):
        count += 1
        if count > BLOCKS_MAX:
            raise LimitExceeded(f"more than {BLOCKS_MAX} blocks")
        if cids.is_identity(cid) or (not chosen.dups and cid in written):
            continue
        if not chosen.dups:
            written.add(cid)
        yield car.frame(cid, data)


async def _blocks(tree: Tree, resolved: Resolved, chosen: Options) -> AsyncIterator[Block]:
    for cid in resolved.trail[:-1]:
        yield cid, await tree.block(cid, public=True)
    below = _end_of_path(tree, resolved.cid, chosen)
    async for block in below:
        yield block


async def _end_of_path(tree: Tree, cid: CID, chosen: Options) -> AsyncIterator[Block]:
    """The blocks of what the path ends at."""
    if chosen.scope == "all":
        async for block in _everything(tree, cid, None if chosen.dups else set()):
            yield block
        return
    yield cid, await tree.block(cid, public=True)
    if chosen.scope == "block" or cids.codec(cid) != cids.DAG_PB:
        return
    node = await tree.node(cid, public=True)
    if isinstance(node, File):
        async for block in _of_file(tree, node, *chosen.span(node.size), None if chosen.dups else set()):
            yield block
    elif isinstance(node, ShardedDirectory):
        async for block in _of_shards(tree, node, None if chosen.dups else set()):
            yield block


async def _everything(tree: Tree, root: CID, walked: set[CID] | None) -> AsyncIterator[Block]:
    """All below ``root``; what is in ``walked`` is not walked again."""
    stack = [root]
    while stack:
        cid = stack.pop()
        if _walked(cid, walked):
            continue
        data = await tree.block(cid, public=True)
        yield cid, data
        stack += reversed(links_of(cid, data))


def _walked(cid: CID, walked: set[CID] | None) -> bool:
    """Whether it was walked before; from now on it was. Never, where nobody keeps count (``dups=y``)."""
    if walked is None or cid in walked:
        return walked is not None
    walked.add(cid)
    return False


async def _of_file(tree: Tree, file: File, start: int, stop: int, walked: set[CID] | None) -> AsyncIterator[Block]:
    """The blocks below a file's root that hold bytes ``start`` up to ``stop``; what is in ``walked``, if given, was
    wanted whole before and is not walked again."""
    stack = _parts(file, 0)
    while stack:
        cid, offset, size = stack.pop()
        if offset >= stop or offset + size <= start:
            continue
        if start <= offset and offset + size <= stop and _walked(cid, walked):
            continue
        yield cid, await tree.block(cid, public=True)
        if cids.codec(cid) == cids.DAG_PB:
            node = await tree.node(cid, public=True)
            if isinstance(node, File):
                stack += _parts(node, offset)


def _parts(file: File, offset: int) -> list[tuple[CID, int, int]]:
    """(cid, offset, size) of a node's parts, the first one last."""
    found = []
    position = offset + len(file.inline)
    for cid, size in file.parts:
        found.append((cid, position, size))
        position += size
    return found[::-1]


async def _of_shards(tree: Tree, root: ShardedDirectory, walked: set[CID] | None) -> AsyncIterator[Block]:
    """The shards below a directory's root, but not its entries; what is in ``walked`` is not walked again."""
    stack = [link.cid for link in reversed(root.shard.links) if root.shard.is_child(link)]
    while stack:
        cid = stack.pop()
        if _walked(cid, walked):
            continue
        yield cid, await tree.block(cid, public=True)
        node = await tree.node(cid, public=True)
        if isinstance(node, ShardedDirectory):
            stack += [link.cid for link in reversed(node.shard.links) if node.shard.is_child(link)]
