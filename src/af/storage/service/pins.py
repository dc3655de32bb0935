"""Pins: content that a project keeps by CID, without a site."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from af import projects
from af.core import ids
from af.core.context import Context, only_the_platform
from af.core.errors import InvalidInput
from af.core.ids import PinId, ProjectId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.storage import store
from af.storage.errors import MissingBlocks, PinNotFound
from af.storage.models import DagSummary, ImportReceipt, Pin, ProjectStats
from af.storage.service import blocks
from af.storage.service.access import READ, WRITE, parse_cid
from af.storage.service.dag import hold, publish, release, verify_dag

PAGE_MAX = 500
_NAME_MAX = 512
_ROOTS_MAX = 100


async def create_pin(
    ctx: Context, project_id: str, cid: str, *, name: str = "", folder: str = "", public: bool = True
) -> Pin:
    """Keep the content under ``cid``, all of which must be there. Pinning again changes the name at most.

    :raises MissingBlocks, InvalidDag, DagTooLarge, InvalidContentId:
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    if len(name) > _NAME_MAX or len(folder) > _NAME_MAX:
        raise InvalidInput(f"A name has at most {_NAME_MAX} characters.", field="name")
    root = parse_cid(cid)
    summary = await verify_dag(ctx, project.id, root)
    if public:
        await publish(ctx, root)
    async with ctx.transaction():
        return (await keep(ctx, ProjectId(project.id), summary, name=name, folder=folder, public=public))[0]


async def keep(
    ctx: Context, project_id: ProjectId, summary: DagSummary, *, name: str, folder: str, public: bool
) -> tuple[Pin, bool]:
    """The project's pin of content that was verified (and, for ``public``, published), and whether it is new. Joins the
    caller's transaction; the caller has authorised."""
    wanted = Pin(
        id=PinId(ids.new(ids.PIN, ctx.now)),
        project_id=project_id,
        cid=summary.root,
        name=name,
        size=summary.bytes,
        folder=folder,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        is_new = await store.insert_pin(tx, wanted)
        pin = wanted if is_new else await store.pin(tx, project_id, summary.root)
        assert pin is not None, "the insert found it in this transaction"
        if not is_new and name and name != pin.name:
            await store.rename_pin(tx, pin.id, name, folder, ctx.now)
            pin = replace(pin, name=name, folder=folder, updated_at=ctx.now)
        await hold(ctx, project_id, summary.root, "pin", pin.id, public)
        if is_new:
            shown = {"cid": cids.to_text(summary.root), "name": name}
            await projects.audit(ctx, "pin.create", project_id, pin.id, None, shown)
    return pin, is_new


async def delete_pin(ctx: Context, project_id: str, cid: str) -> Pin:
    """Stop keeping ``cid``. :raises PinNotFound:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    root = parse_cid(cid)
    async with ctx.transaction() as tx:
        pin = await store.pin(tx, project.id, root)
        if pin is None:
            raise PinNotFound(cid[:100])
        await store.requests.delete_pinned(tx, project.id, root)  # they would say that it is still kept
        await let_go(ctx, pin)
    return pin


async def let_go(ctx: Context, pin: Pin) -> None:
    """Remove the pin and what it holds. Joins the caller's transaction; the caller has authorised."""
    async with ctx.transaction() as tx:
        await store.delete_pin(tx, pin.id)
        await release(ctx, "pin", pin.id)
        shown = {"cid": cids.to_text(pin.cid), "name": pin.name}
        await projects.audit(ctx, "pin.delete", pin.project_id, pin.id, shown, None)


async def find_pin(ctx: Context, project_id: str, cid: str) -> Pin | None:
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.pin(connection, project.id, parse_cid(cid))


async def find_pin_in_folder(ctx: Context, project_id: str, folder: str, name: str) -> Pin | None:
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.pin_in_folder(connection, project.id, folder, name)


async def list_pins(
    ctx: Context, project_id: str, *, first: int = PAGE_MAX, after: str | None = None, name: str | None = None
) -> list[Pin]:
    """Oldest first, at most ``first`` behind the pin id ``after``; with ``name`` only those of exactly that name."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        limit = max(1, min(first, PAGE_MAX + 1))
        return await store.list_pins(connection, project.id, after=after, name=name, limit=limit)


async def public_pins(ctx: Context, project_id: str) -> list[tuple[CID, str]]:
    """(CID, name) of what the project keeps for everybody to see."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.public_pins(connection, project.id)


async def projects_to_forget(ctx: Context) -> list[ProjectId]:
    """Deleted projects that still keep content. For the worker: projects know nothing of pins, so pins follow them."""

    async def with_pins(deleted: Sequence[ProjectId]) -> dict[ProjectId, None]:
        async with ctx.reading() as connection:
            kept = await store.projects_with_pins(connection, deleted)
            return dict.fromkeys([*kept, *await store.requests.projects_with_requests(connection, deleted)])

    return await projects.deleted_projects_with(ctx, with_pins)  # answers the platform only


async def forget_project(ctx: Context, project_id: str) -> int:
    """Stop keeping what a deleted project had pinned; returns how many pins. Harmless when repeated."""
    only_the_platform(ctx)
    async with ctx.transaction() as tx:
        await store.requests.delete_of_project(tx, project_id)
        return await store.delete_pins_of_project(tx, project_id)


async def project_stats(ctx: Context, project_id: str) -> ProjectStats:
    """What the project keeps by pins."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.project_stats(connection, project.id)


async def import_car(
    ctx: Context, project_id: str, chunks: AsyncIterator[bytes], *, name: str = "", public: bool = True
) -> ImportReceipt:
    """Take in a CAR for keeping: its roots are pinned if everything below all of them is there, and if not the blocks
    stay for the grace period, so that the rest can follow; ``public`` ones can be read meanwhile.

    :raises InvalidCarBlock, InvalidCarFile: as `receive_car`
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    receipt = await blocks.receive_car(ctx, project.id, chunks, public=public)
    missing: list[CID] = []
    for root in receipt.roots[:_ROOTS_MAX]:
        try:
            await verify_dag(ctx, project.id, root)
        except MissingBlocks as error:
            missing += error.cids
    complete = bool(receipt.roots) and not missing and len(receipt.roots) <= _ROOTS_MAX
    if complete:
        for root in dict.fromkeys(receipt.roots):
            await create_pin(ctx, project.id, cids.to_text(root), name=name, public=public)
    return ImportReceipt(receipt=receipt, complete=complete, missing=tuple(missing))
