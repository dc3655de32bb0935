"""Whether content is what its CID says, asked of every place that should have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from af import projects, storage
from af.core.context import Context
from af.core.errors import Error
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError
from af.replication import rules, store
from af.replication.backends import Provider
from af.replication.errors import NotReadable, ProviderNotConfigured, ProviderUnknown
from af.replication.models import Copy, Finding, SourceCheck
from af.replication.service.access import READ, providers
from af.replication.service.copies import sample_of

HERE = "here"
_BLOCK_BYTES_MAX = 4 << 20
_COPIES_MAX = 50
_Read = Callable[[CID], Awaitable[bytes]]


async def verify(ctx: Context, project_id: str, root: CID) -> list[SourceCheck]:
    """What each source has of the content below ``root``: our own store, all of it; every copy that the project has at
    a provider, our Kubo node, and the gateways of AF_RETRIEVAL_GATEWAYS, a sample. Each source is asked by itself, and
    each block is hashed here.

    The answer is about content that everybody may see, or that the project has.
    """
    project = await projects.authorize(ctx, READ, project_id=project_id)
    here, blocks = await _here(ctx, project.id, root)
    checks = [here]
    async with ctx.reading() as connection:
        copies = await store.of_project(connection, project.id, root=root, after=None, limit=_COPIES_MAX)
    for copy in copies:
        if copy.receipt is None or copy.unwanted_at is not None:
            continue
        try:
            checks.append(await _check(copy.provider, _of_copy(providers(ctx).get(copy.provider), copy), blocks))
        except (ProviderNotConfigured, ProviderUnknown) as error:
            checks.append(_unreachable(copy.provider, error))
    for source in storage.other_sources(ctx):
        checks.append(await _check(source.name, _of_source(source), blocks))
    return checks


def _of_copy(provider: Provider, copy: Copy) -> _Read:
    ref = copy.receipt.ref if copy.receipt is not None else ""
    return lambda cid: provider.read(copy.root, ref, cid)


def _of_source(source: storage.Source) -> _Read:
    return lambda cid: source.block(cid, limit_bytes=_BLOCK_BYTES_MAX)


async def _here(ctx: Context, project_id: str, root: CID) -> tuple[SourceCheck, list[CID]]:
    """Our own store, every block hashed again; and the blocks to ask others for."""
    get = storage.reader(ctx, project_id)
    asked = right = 0
    finding, detail = Finding.WHOLE, ""
    try:
        async for cid, data in export.walk(get, root):
            asked += 1
            if cids.matches(cid, data):
                right += 1
            else:
                finding, detail = Finding.WRONG, f"{cids.to_text(cid)} does not match its bytes"
    except storage.BlockCorrupt as error:
        return SourceCheck(source=HERE, finding=Finding.WRONG, asked=asked + 1, right=right, detail=error.message), [
            root
        ]
    except (storage.BlockMissing, IpfsError) as error:
        text = error.message if isinstance(error, Error) else str(error)
        return SourceCheck(source=HERE, finding=Finding.MISSING, asked=asked + 1, right=right, detail=text), [root]
    try:
        sample = await sample_of(ctx, root)
    except Error:
        sample = [root]  # private: others should have nothing of it
    return SourceCheck(source=HERE, finding=finding, asked=asked, right=right, detail=detail), sample


async def _check(name: str, read: _Read, blocks: list[CID]) -> SourceCheck:
    right = 0
    for cid in blocks[: rules.SAMPLE_BLOCKS]:
        try:
            data = await read(cid)
        except NotReadable as error:
            return SourceCheck(
                source=name, finding=Finding.UNPROVABLE, asked=len(blocks), right=right, detail=error.message
            )
        except Error as error:
            finding = Finding.MISSING if right or error.http_status in (404, 502) else Finding.UNREACHABLE
            return SourceCheck(source=name, finding=finding, asked=len(blocks), right=right, detail=error.message)
        if not cids.matches(cid, data):
            detail = f"wrong bytes for {cids.to_text(cid)}"
            return SourceCheck(source=name, finding=Finding.WRONG, asked=len(blocks), right=right, detail=detail)
        right += 1
    return SourceCheck(source=name, finding=Finding.WHOLE, asked=len(blocks), right=right)


def _unreachable(name: str, error: Error) -> SourceCheck:
    return SourceCheck(source=name, finding=Finding.UNREACHABLE, asked=0, right=0, detail=error.message)
