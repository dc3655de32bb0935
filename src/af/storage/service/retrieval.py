"""Content that is not here is fetched from elsewhere: every block is verified, stored at once and visible to the
project, so a retrieval that is cut off goes on where it was.

First the whole DAG is asked for as a CAR, which is one exchange; what is then still missing (all, if no source has
CARs) is fetched block by block, breadth first, several at a time, each from the first source that has it. A block is
stored only if the root or a block below it names it: a source cannot make us keep anything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from af.core.clock import monotonic
from af.core.errors import Error, InvalidInput, Timeout, TooLarge
from af.protocols.ipfs import car, export
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, InvalidCar, UnsupportedCodec, UnsupportedHash
from af.storage.backends import BlockStore
from af.storage.backends.sources import Refused, Source
from af.storage.errors import DagTooLarge, InvalidDag, PinQuotaExceeded, RetrievalFailed, RetrievalTooSlow
from af.storage.service.blocks import batches

_BLOCKS_MAX = 1_000_000
_LOOKED_UP_AT_ONCE = 1000
_FETCHED_AT_ONCE = 16
"""Blocks on their way at a time; two such groups may be in memory."""
_STORED_BYTES = 4 << 20
_PARSED_BYTES = 1 << 20
_YIELD_NODES = 64
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_CAR_OVERHEAD_BYTES = 16 << 20
_PROBLEMS_SHOWN = 5
Block = tuple[CID, bytes]
Report = Callable[[int, int], Awaitable[None]]
"""Told (blocks, bytes) that have been fetched and stored so far; may raise to end the retrieval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``bytes_max``: what may be fetched in all. ``patience_seconds``: the longest time without a new block."""

    block_bytes_max: int
    bytes_max: int
    patience_seconds: float
    seconds_max: float


async def retrieve(
    blocks: BlockStore, scope: str, root: CID, sources: Sequence[Source], limits: Limits, report: Report
) -> None:
    """Make everything below ``root`` visible to ``scope``, from what it sees already and from ``sources``.

    :raises RetrievalFailed: a block came from nowhere. :raises RetrievalTooSlow: over ``limits.seconds_max``.
    :raises InvalidDag: a block cannot be read. :raises DagTooLarge, PinQuotaExceeded: over a limit.
    """
    work = _Retrieval(blocks, scope, sources, limits, report)
    try:
        async with asyncio.timeout(limits.seconds_max):
            await work.take_car(root)
            await work.walk(root)
    except TimeoutError as error:
        raise RetrievalTooSlow(
            f"The content did not come within {limits.seconds_max:g} s; {work.blocks_stored:,} blocks did.",
            hint="Ask again: it goes on where it was.",
        ) from error
    finally:
        await work.end()


@dataclass(slots=True)
class _Retrieval:
    store: BlockStore
    scope: str
    sources: Sequence[Source]
    limits: Limits
    report: Report
    blocks_stored: int = 0
    bytes_stored: int = 0
    progress_at: float = field(default_factory=monotonic)
    failures: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    storing: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Nothing goes on behind the caller's back."""
        storing, self.storing = self.storing, None
        if storing is not None:
            await asyncio.wait([storing])
            storing.exception()  # whoever waited for it has been told

    # --- as a CAR

    async def take_car(self, root: CID) -> None:
        """The DAG as a CAR from the first source that gives something of it, if the root is not here."""
        if not await self.store.missing([root], scope=self.scope):
            return
        for source in self.sources:
            before = self.blocks_stored
            try:
                await _CarTaker(self, root).take(source)
            except _Wrong as error:
                self.refused[source.name] = str(error)
            except InvalidCar:
                pass  # what it has sent is stored; block by block may work
            except _Failed as failed:
                self._note(source, failed.error)
            await self._stored()
            if self.blocks_stored > before:
                return

    # --- block by block

    async def walk(self, root: CID) -> None:
        """Fetch what is missing, one level after another."""
        self.progress_at = monotonic()  # what asking for CARs took does not count
        level, seen = [root], {root}
        for _ in range(export.MAX_WALK_DEPTH):
            if not level:
                await self._stored()
                return
            below: list[CID] = []
            for batch in batches(level, _LOOKED_UP_AT_ONCE):
                for absent in batches(await self.store.missing(batch, scope=self.scope), _FETCHED_AT_ONCE):
                    await self.keep(await self._fetch(absent))
                await self._stored()
                below += await self._children(batch, seen)
            level = below
        raise DagTooLarge(f"The content is more than {export.MAX_WALK_DEPTH} levels deep.")

    async def _children(self, present: Sequence[CID], seen: set[CID]) -> list[CID]:
        fresh: list[CID] = []
        for number, cid in enumerate(present, 1):
            if cids.codec(cid) != cids.RAW:
                fresh += new_links(cid, await self.store.get(cid), seen)
            if number % _YIELD_NODES == 0:
                await asyncio.sleep(0)
        return fresh

    async def _fetch(self, absent: Sequence[CID]) -> list[Block]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [(cid, group.create_task(self._block(cid))) for cid in absent]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the others were ended for its sake
        return [(cid, task.result()) for cid, task in tasks]

    async def _block(self, cid: CID) -> bytes:
        """The block, from the first source that gives it; all are asked again and again while there is patience."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            problems: dict[str, str] = {}
            for source in self._askable():
                try:
                    data = await source.block(cid, limit_bytes=self.limits.block_bytes_max)
                    _verify(cid, data)
                except _Wrong as error:
                    self.refused[source.name] = str(error)
                except Error as error:
                    self._note(source, error)
                    problems[source.name] = _why(error)
                else:
                    self.failures[source.name] = 0
                    self.progress_at = monotonic()
                    return data
            if not self._askable() or monotonic() + pause - self.progress_at > self.limits.patience_seconds:
                raise self._failed(cid, problems)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _askable(self) -> list[Source]:
        """Sources in the order to ask: who failed last time comes later; who lied is not asked again."""
        honest = [source for source in self.sources if source.name not in self.refused]
        return sorted(honest, key=lambda source: self.failures.get(source.name, 0))

    def _note(self, source: Source, error: Error) -> None:
        self.failures[source.name] = self.failures.get(source.name, 0) + 1
        if isinstance(error, InvalidInput):  # the address may not be called: that does not change
            self.refused[source.name] = _why(error)

    def _failed(self, cid: CID, problems: dict[str, str]) -> RetrievalFailed:
        said = list((problems | self.refused).items())
        shown = "; ".join(f"{name}: {problem}" for name, problem in said[:_PROBLEMS_SHOWN])
        return RetrievalFailed(
            f"The block {cids.to_text(cid)} came from nowhere ({shown or 'there is no source to ask'}).",
            hint="Name a trustless gateway that has the content among the origins of the pin.",
        )

    # --- storing

    async def keep(self, found: list[Block]) -> None:
        """Store verified blocks, while the next ones are fetched."""
        await self._stored()
        size = sum(len(data) for _, data in found)
        if self.bytes_stored + size > self.limits.bytes_max:
            raise PinQuotaExceeded(
                "The content is larger than what the project may still keep (AF_PIN_BYTES_MAX).",
                hint="Remove pins that are no longer needed.",
            )
        if self.blocks_stored + len(found) > _BLOCKS_MAX:
            raise DagTooLarge(f"The content has more than {_BLOCKS_MAX:,} blocks.")
        if found:
            self.storing = asyncio.create_task(self._store(found, size))

    async def _store(self, found: list[Block], size: int) -> None:
        await self.store.put(found, scope=self.scope)
        self.blocks_stored += len(found)
        self.bytes_stored += size
        self.progress_at = monotonic()
        await self.report(self.blocks_stored, self.bytes_stored)

    async def _stored(self) -> None:
        storing = self.storing
        if storing is not None:
            await asyncio.shield(storing)
            self.storing = None


class _CarTaker:
    """One CAR on its way in. Takes only what the root or an earlier block names."""

    def __init__(self, work: _Retrieval, root: CID) -> None:
        self._work = work
        self._reader = car.CarReader(max_block_bytes=work.limits.block_bytes_max)
        self._named = {root}
        self._taken: set[CID] = set()
        self._batch: list[Block] = []

    async def take(self, source: Source) -> None:
        """:raises _Wrong: a block does not match its CID. :raises InvalidCar, _Failed: it breaks off"""
        left = self._work.limits.bytes_max - self._work.bytes_stored
        (root,) = self._named
        held = bytearray()
        try:
            async with aclosing(_pieces(source, root, left + _CAR_OVERHEAD_BYTES)) as pieces:
                async for piece in pieces:
                    held += piece
                    if len(held) >= _PARSED_BYTES:
                        await self._parse(bytes(held))
                        held.clear()
            await self._parse(bytes(held))
            self._reader.finish()
        finally:
            await self._work.keep(self._batch)

    async def _parse(self, part: bytes) -> None:
        work = self._work
        found = await asyncio.to_thread(self._new, part)
        if found:
            work.progress_at = monotonic()
        elif monotonic() - work.progress_at > work.limits.patience_seconds:
            raise _Failed(Refused("it sends nothing that was asked for"))
        self._batch += found
        if sum(len(data) for _, data in self._batch) >= _STORED_BYTES:
            batch, self._batch = self._batch, []
            await work.keep(batch)

    def _new(self, part: bytes) -> list[Block]:
        """In a thread: the blocks that are now whole and belong to the DAG, verified."""
        found: list[Block] = []
        for cid, data in self._reader.feed(part):
            if cid in self._taken or cid not in self._named:
                continue
            _verify(cid, data)
            self._taken.add(cid)
            if cids.codec(cid) != cids.RAW:
                new_links(cid, data, self._named)
            found.append((cid, data))
        return found


class _Wrong(Exception):
    """A source gave bytes that are not what they are said to be."""


class _Failed(Exception):
    """A source did not give what was asked for, which is no fault of ours or of the content."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.error = error


async def _pieces(source: Source, root: CID, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(source.car(root, limit_bytes=limit_bytes)) as pieces:
            async for piece in pieces:
                yield piece
    except Error as error:
        raise _Failed(error) from error


def _verify(cid: CID, data: bytes) -> None:
    try:
        if not cids.verify(cid, data):
            raise _Wrong("it gave wrong bytes")
    except UnsupportedHash as error:
        raise InvalidDag(f"The block {cids.to_text(cid)} cannot be checked: {error}.") from error


def new_links(cid: CID, data: bytes, seen: set[CID]) -> list[CID]:
    """The links of a block that are not in ``seen``, to which they are added."""
    try:
        links = export.links_of(cid, data)
    except (InvalidBlock, UnsupportedCodec) as error:
        raise InvalidDag(f"The block {cids.to_text(cid)} cannot be read: {error}.") from error
    fresh = [link for link in dict.fromkeys(links) if link not in seen]
    seen.update(fresh)
    if len(seen) > _BLOCKS_MAX:
        raise DagTooLarge(f"The content has more than {_BLOCKS_MAX:,} blocks.")
    return fresh


def _why(error: Error) -> str:
    """What is told about a source's failure: not the address, which may be the operator's own."""
    if isinstance(error, Refused | InvalidInput):
        return error.message.rstrip(".")
    if isinstance(error, Timeout):
        return "it did not answer in time"
    if isinstance(error, TooLarge):
        return "it sent more than a block may have"
    return "it could not be reached"
