"""A folder of a project on Arweave, file by file, so that it opens there as a site. (A copy of content as one CAR is
made like that at any other provider.)"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from af import projects, storage
from af.core.context import Context
from af.protocols import media
from af.protocols.arweave.manifests import PATHS_MAX
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError
from af.protocols.ipfs.export import EntryKind, Get, Stat
from af.replication.backends.arweave import INDEX, Arweave, SiteFile, SiteReceipt
from af.replication.backends.arweave_errors import ManifestImpossible
from af.replication.models import Cost

_READ, _WRITE = "storage:read", "storage:write"
_DEPTH_MAX = 64


async def estimate_site(ctx: Context, arweave: Arweave, project_id: str, root: CID, *, name: str = "") -> Cost:
    """What `store_site` would cost now; nothing is sent.

    :raises ManifestImpossible: it cannot be a site there. :raises ProviderFailed: no price to be had
    """
    project = await projects.authorize(ctx, _READ, project_id=project_id)
    files, index = await _files(ctx, project.id, root, name)
    return await arweave.estimate_site(files, index=index)


async def store_site(ctx: Context, arweave: Arweave, project_id: str, root: CID, *, name: str = "") -> SiteReceipt:
    """Put every file below ``root`` on Arweave with its content type, and a manifest over them: ``url`` opens the site.
    ``name`` is what a root that is a file is called. Public and for ever; the same content again costs nothing.

    :raises ManifestImpossible, TooExpensive, NotPaid, ProviderRefused, ProviderFailed:
    """
    project = await projects.authorize(ctx, _WRITE, project_id=project_id)
    files, index = await _files(ctx, project.id, root, name)
    return await arweave.store_site(files, index=index)


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
