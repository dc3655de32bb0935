"""Content out: a DAG as a CAR, one file's bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from af import projects
from af.core.context import Context
from af.protocols.ipfs import car, export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError, LimitExceeded, NotADirectory, NotAFile, NotFound
from af.storage.errors import BlockMissing, DagTooLarge, InvalidDag, NotStoredFile
from af.storage.service.access import READ, block_store
from af.storage.service.blocks import reader


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file and its content in parts of at most a block."""

    cid: CID
    size: int
    content: AsyncIterator[bytes]


async def export_car(ctx: Context, project_id: str, root: CID) -> AsyncIterator[bytes]:
    """The DAG below ``root`` as a CARv1, parents first, in parts. The root is looked up before this returns.

    :raises BlockMissing: the project cannot see the root (or, while streaming, a block below it)
    """
    project = await projects.authorize(ctx, READ, project_id=project_id)
    get = await _visible(ctx, project.id, root)

    async def parts() -> AsyncIterator[bytes]:
        yield car.header([root])
        try:
            async for cid, block in export.walk(get, root):
                yield car.frame(cid, block)
        except LimitExceeded as error:
            raise DagTooLarge(f"The content cannot be exported whole: {error}.") from error
        except IpfsError as error:
            raise InvalidDag(f"The content cannot be exported whole: {error}.") from error

    return parts()


async def open_file(ctx: Context, project_id: str, root: CID, path: str = "") -> StoredFile:
    """The file at ``path`` below ``root`` (``root`` itself when empty).

    :raises NotStoredFile: there is none. :raises BlockMissing: the project cannot see the content.
    """
    project = await projects.authorize(ctx, READ, project_id=project_id)
    get = await _visible(ctx, project.id, root)
    try:
        found = await export.resolve(get, root, [segment for segment in path.split("/") if segment])
    except (NotFound, NotADirectory, NotAFile) as error:
        raise NotStoredFile(f"There is no {path[:200]!r} below this CID.") from error
    except IpfsError as error:
        raise InvalidDag(f"The content cannot be read: {error}.") from error
    if found.kind is not export.EntryKind.FILE:
        raise NotStoredFile("This is not a file.", hint="Name a file inside the folder, or export it as a CAR.")
    content = export.read_file(get, found.cid, block=found.stat.block)
    return StoredFile(cid=found.cid, size=found.size_bytes, content=content)


def public_reader(ctx: Context) -> export.Get:
    """A function that gets blocks which everybody may see. :raises BlockMissing, BlockCorrupt: (from the function)"""
    blocks = block_store(ctx)

    async def get(cid: CID) -> bytes:
        return await blocks.get(cid, public_only=True)

    return get


async def public_car(ctx: Context, root: CID) -> AsyncIterator[bytes]:
    """The DAG below ``root`` as a CARv1, parents first, each block once: of blocks that everybody may see only.

    :raises BlockMissing, InvalidDag:
    """
    yield car.header([root])
    try:
        async for cid, block in export.walk(public_reader(ctx), root):
            yield car.frame(cid, block)
    except IpfsError as error:
        raise InvalidDag(f"The content cannot be read whole: {error}.") from error


async def _visible(ctx: Context, project_id: str, root: CID) -> export.Get:
    """A reader for everything below ``root``: who may see a root may see what it links to only if it was uploaded
    to the project or is public, so each block is asked for as the project."""
    if await block_store(ctx).missing([root], scope=project_id):
        raise BlockMissing(root)
    return reader(ctx, project_id)
