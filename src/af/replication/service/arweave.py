"""A folder of a project on Arweave, file by file, so that it opens there as a site. (A copy of content as one CAR is
made like that at any other provider.)"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable

from af import projects, storage
from af.core.context import Context
from af.core.errors import InvalidInput
from af.protocols import media
from af.protocols.arweave.encoding import to_ar
from af.protocols.arweave.manifests import PATHS_MAX
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError
from af.protocols.ipfs.export import EntryKind, Get, Stat
from af.replication.backends.arweave import INDEX, Arweave, SiteFile, SiteReceipt
from af.replication.backends.arweave_errors import ManifestImpossible, TooExpensive
from af.replication.models import Cost, Receipt
from af.replication.service.access import READ, SPEND, providers

_DEPTH_MAX = 64
_REF = re.compile(r"[A-Za-z0-9_-]{43}(\.[0-9]{1,12})?")
_NO_ROOT = CID(b"")
"""Arweave follows a bundle by its own id."""


async def estimate_site(ctx: Context, project_id: str, root: CID, *, name: str = "") -> Cost:
    """What `store_site` would cost now; nothing is sent.

    :raises ProviderNotConfigured: no wallet. :raises ManifestImpossible: it cannot be a site there.
    :raises ProviderFailed: no price to be had
    """
    project = await projects.authorize(ctx, READ, project_id=project_id)
    arweave = _arweave(ctx)
    files, index = await _files(ctx, project.id, root, name)
    return await arweave.estimate_site(files, index=index)


async def store_site(
    ctx: Context, project_id: str, root: CID, *, name: str = "", cost_max: int | None = None
) -> SiteReceipt:
    """Put every file below ``root`` on Arweave with its content type, and a manifest over them: ``url`` opens the site.
    ``name`` is what a root that is a file is called. Public and for ever; the same content again costs nothing.

    Returns when the upload is taken. ``cost_max`` is what the caller has agreed to, in the unit of the estimate.
    :raises ProviderNotConfigured, ManifestImpossible, TooExpensive, NotPaid, ProviderRefused, ProviderFailed:
    """
    project = await projects.authorize(ctx, SPEND, project_id=project_id)
    arweave = _arweave(ctx)
    files, index = await _files(ctx, project.id, root, name)
    if cost_max is not None:
        cost = await arweave.estimate_site(files, index=index)
        if cost.amount > cost_max:
            raise TooExpensive(
                f"Arweave now takes {to_ar(cost.amount)} AR for this; you agreed to {to_ar(cost_max)} AR.",
                hint="Nothing was sent. Ask for the price again.",
            )
    receipt = await arweave.store_site(files, index=index)
    shown = {"url": receipt.url, "ref": receipt.copy.ref}
    async with ctx.transaction():
        await projects.audit(ctx, "arweave.store", project.id, cids.to_text(root), None, shown)
    return receipt


async def site_standing(ctx: Context, project_id: str, ref: str) -> Receipt:
    """How far the bundle of a site is. :raises ProviderFailed, InvalidInput:"""
    await projects.authorize(ctx, READ, project_id=project_id)
    if not _REF.fullmatch(ref):
        raise InvalidInput("This is not what storing on Arweave gave as its ref.", field="ref")
    return await _arweave(ctx).status(_NO_ROOT, ref)


def _arweave(ctx: Context) -> Arweave:
    found = providers(ctx).get(Arweave.name)
    assert isinstance(found, Arweave), "only Arweave is wired under its name"
    return found


async def _files(ctx: Context, project_id: str, root: CID, name: str) -> tuple[list[SiteFile], str]:
    """The files below a root, and which of them opens it."""
    get = storage.reader(ctx, project_id)
    try:
        stat = await export.stat(get, root)
        if stat.kind is EntryKind.FILE:
            path = name or "file"
            return [await _file(get, path, stat)], path
        return [file async for file in _walk(get, root)], INDEX
    except IpfsError as error:
        raise ManifestImpossible(f"The content cannot be read as files: {error}.") from error


async def _walk(get: Get, root: CID) -> AsyncIterator[SiteFile]:
    """Depth-first, in the order of names."""
    pending: list[tuple[str, CID]] = [("", root)]
    count = 0
    while pending:
        path, cid = pending.pop()
        stat = await export.stat(get, cid)
        if stat.kind is EntryKind.SYMLINK:
            raise ManifestImpossible(f"{path!r} is a symbolic link, which Arweave has not.")
        if stat.kind is EntryKind.FILE:
            yield await _file(get, path, stat)
            continue
        if path.count("/") >= _DEPTH_MAX:
            raise ManifestImpossible(f"Folders are nested more than {_DEPTH_MAX} deep.")
        for entry in reversed(await export.list_directory(get, cid, max_entries=PATHS_MAX)):
            count += 1
            if count > PATHS_MAX:
                raise ManifestImpossible(f"More than {PATHS_MAX} files.")
            pending.append((f"{path}/{_text(entry.name)}".lstrip("/"), entry.cid))


async def _file(get: Get, path: str, stat: Stat) -> SiteFile:
    start = b""
    async for piece in export.read_file(get, stat.cid, 0, media.SNIFF_BYTES, block=stat.block):
        start += piece
    return SiteFile(
        path=path,
        content_type=media.type_of(path.rpartition("/")[2], start),
        size_bytes=stat.size_bytes,
        open=_opener(get, stat.cid),
    )


def _opener(get: Get, cid: CID) -> Callable[[], AsyncIterator[bytes]]:
    return lambda: export.read_file(get, cid)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise ManifestImpossible(f"A file name is not UTF-8: {name[:60]!r}.") from error
