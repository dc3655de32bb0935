"""What a CID, or a path below it, is: a file, a folder with what is in it, a symlink, or other data."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

from af import projects
from af.core.context import Context
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidBlock, IpfsError, NotADirectory, NotFound, UnsupportedCodec
from af.protocols.ipfs.export import DirEntry, EntryKind, Get
from af.storage.errors import BlockMissing, InvalidDag, NotStoredFile
from af.storage.models import Entry, Folder
from af.storage.service.access import READ, block_store
from af.storage.service.blocks import reader

PAGE_MAX = 1_000
ENTRIES_MAX = 200_000
"""Of one folder, which is read whole to sort it."""
_AT_ONCE = 16
_KINDS = {EntryKind.FILE: "file", EntryKind.DIRECTORY: "folder", EntryKind.SYMLINK: "symlink"}


async def list_folder(
    ctx: Context, project_id: str, root: CID, path: str = "", *, first: int = PAGE_MAX, after: str = ""
) -> Folder:
    """What is at ``path`` below ``root``; of a folder the first entries behind the name ``after``, by name.

    :raises NotStoredFile: nothing is there. :raises BlockMissing: the project cannot see it.
    :raises InvalidDag: it is damaged, or too large to list
    """
    project = await projects.authorize(ctx, READ, project_id=project_id)
    if not cids.is_identity(root) and await block_store(ctx).missing([root], scope=project.id):
        raise BlockMissing(root)
    get = reader(ctx, project.id)
    segments = [segment for segment in path.split("/") if segment]
    try:
        if not segments and cids.codec(root) not in (cids.RAW, cids.DAG_PB):
            return Folder(entry=await _entry(get, DirEntry(b"", root, 0)), entries=(), more=False)
        found = await export.resolve(get, root, segments)
        folder = found.kind is EntryKind.DIRECTORY
        name = segments[-1].encode("utf-8", "surrogateescape") if segments else b""
        entry = Entry(name, found.cid, _KINDS[found.kind], found.stat.tsize if folder else found.size_bytes)
        if not folder:
            return Folder(entry=entry, entries=(), more=False)
        every = await export.list_directory(get, found.cid, max_entries=ENTRIES_MAX, max_shards=ENTRIES_MAX)
    except (NotFound, NotADirectory) as error:
        raise NotStoredFile(
            f"There is no {path[:200]!r} below this CID.", hint=f"af storage ls {cids.to_text(root)}"
        ) from error
    except IpfsError as error:
        raise InvalidDag(f"The content cannot be listed: {error}.") from error
    start = bisect_right(every, after.encode("utf-8", "surrogateescape"), key=lambda each: each.name) if after else 0
    page = every[start : start + first]
    return Folder(entry=entry, entries=tuple(await _entries(get, page)), more=start + first < len(every))


async def _entries(get: Get, page: Sequence[DirEntry]) -> list[Entry]:
    found: list[Entry] = []
    for start in range(0, len(page), _AT_ONCE):
        found += await asyncio.gather(*(_entry(get, each) for each in page[start : start + _AT_ONCE]))
    return found


async def _entry(get: Get, link: DirEntry) -> Entry:
    """With the size of a file's content; of what is below a folder or other data, as its maker said."""
    try:
        stat = await export.stat(get, link.cid)
    except BlockMissing:
        return Entry(link.name, link.cid, "missing", link.tsize)
    except UnsupportedCodec:
        return Entry(link.name, link.cid, "data", link.tsize)
    except InvalidBlock:
        return Entry(link.name, link.cid, "damaged", link.tsize)
    size = stat.tsize if stat.kind is EntryKind.DIRECTORY else stat.size_bytes
    return Entry(link.name, link.cid, _KINDS[stat.kind], size)
