"""Pin requests: content that a project wants fetched and kept. Made and read here; worked on in `pinning`."""

from __future__ import annotations

from datetime import timedelta

from af import projects
from af.core import events, ids
from af.core.context import Context
from af.core.ids import PinRequestId, ProjectId
from af.protocols.ipfs import cid as cids
from af.storage import store
from af.storage.errors import InvalidPinRequest, PinQuotaExceeded, PinRequestNotFound, TooManyPinRequests
from af.storage.models import PinFilter, PinRequest, PinState, WantedPin
from af.storage.service.access import READ, WRITE
from af.storage.service.dag import LEASE, release
from af.storage.service.pins import let_go

NAME_MAX = 255
ORIGINS_MAX = 20
ORIGIN_LENGTH_MAX = 2000
META_MAX = 1000
META_CHARACTERS_MAX = 64 << 10
LIST_MAX = 1000
_CIDS_ASKED_MAX = 10
_META_ASKED_MAX = 10
_WAITING_MAX = 1000
_REQUESTS_MAX = 100_000


async def request_pin(ctx: Context, project_id: str, wanted: WantedPin) -> PinRequest:
    """Have content fetched and kept. The same CID again is another request.

    :raises InvalidPinRequest, PinQuotaExceeded, TooManyPinRequests:
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    _check(wanted)
    async with ctx.transaction() as tx:
        await store.requests.take_turns(tx, project.id)
        return await _insert(ctx, ProjectId(project.id), wanted)


async def replace_pin_request(ctx: Context, project_id: str, request_id: str, wanted: WantedPin) -> PinRequest:
    """A new request in the place of an old one. What the old one kept stays until the new one is at its end, so that
    blocks of both need not be fetched again.

    :raises PinRequestNotFound: and as `request_pin`
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    _check(wanted)
    async with ctx.transaction() as tx:
        await store.requests.take_turns(tx, project.id)
        old = await _existing(ctx, project.id, request_id)
        await _remove(ctx, old)
        made = await _insert(ctx, ProjectId(project.id), wanted)
        await lease(ctx, made, old.pin)
    return made


async def delete_pin_request(ctx: Context, project_id: str, request_id: str) -> None:
    """Forget a request; what it keeps is let go unless something else keeps it. :raises PinRequestNotFound:"""
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    async with ctx.transaction() as tx:
        await store.requests.take_turns(tx, project.id)
        await _remove(ctx, await _existing(ctx, project.id, request_id))


async def pin_request(ctx: Context, project_id: str, request_id: str) -> PinRequest:
    """:raises PinRequestNotFound:"""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    return await _existing(ctx, project.id, request_id)


async def list_pin_requests(ctx: Context, project_id: str, wanted: PinFilter) -> tuple[int, list[PinRequest]]:
    """How many match, and the newest of them. :raises InvalidPinRequest:"""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    if not 1 <= wanted.limit <= LIST_MAX:
        raise InvalidPinRequest(f"limit is between 1 and {LIST_MAX}.", field="limit")
    if len(wanted.cids) > _CIDS_ASKED_MAX:
        raise InvalidPinRequest(f"At most {_CIDS_ASKED_MAX} CIDs can be asked for.", field="cid")
    if len(wanted.meta) > _META_ASKED_MAX:
        raise InvalidPinRequest(f"At most {_META_ASKED_MAX} fields of meta can be asked for.", field="meta")
    _check_texts(wanted.name or "", *wanted.meta.keys(), *wanted.meta.values(), field="name")
    async with ctx.reading() as connection:
        return await store.requests.find(connection, project.id, wanted)


async def used_bytes(ctx: Context, project_id: str) -> int:
    """What counts for the project's quota. Pins say what links claim, requests what was really fetched."""
    async with ctx.reading() as connection:
        stats = await store.project_stats(connection, project_id)
        return max(stats.bytes, await store.requests.fetched_bytes(connection, project_id))


async def lease(ctx: Context, request: PinRequest, pin: WantedPin) -> None:
    """Keep what is here of ``pin`` from being collected while ``request`` is worked on. Joins the caller's
    transaction."""
    async with ctx.transaction() as tx:
        await store.hold(
            tx,
            cid=pin.cid,
            kind="upload",
            ref=request.id,
            project_id=request.project_id,
            public=False,
            now=ctx.now,
            expires_at=ctx.now + timedelta(seconds=ctx.settings.retrieval_seconds_max) + LEASE,
        )


async def tell(ctx: Context, request: PinRequest, kind: str = "pin.status") -> None:
    """Record the state as an event of the request, in the caller's transaction."""
    data = {"requestid": request.id, "cid": cids.to_text(request.pin.cid), "status": request.state.value}
    if request.reason:
        data["reason"] = request.reason
    await events.publish(ctx, project_id=request.project_id, topic=f"pin:{request.id}", kind=kind, data=data)


async def _insert(ctx: Context, project_id: ProjectId, wanted: WantedPin) -> PinRequest:
    wished = PinRequest(
        id=PinRequestId(ids.new(ids.PIN_REQUEST, ctx.now)),
        project_id=project_id,
        pin=wanted,
        state=PinState.QUEUED,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        every, waiting = await store.requests.counts(tx, project_id)
        if waiting >= _WAITING_MAX or every >= _REQUESTS_MAX:
            raise TooManyPinRequests(
                f"The project has {every:,} pin requests, of which {waiting:,} wait.", hint="Wait, or remove some."
            )
        used, allowed = await used_bytes(ctx, project_id), ctx.settings.pin_bytes_max
        if used >= allowed:
            raise PinQuotaExceeded(
                f"The project keeps {used:,} bytes; {allowed:,} are allowed (AF_PIN_BYTES_MAX).",
                hint="Remove pins that are no longer needed.",
            )
        made = await store.requests.insert(tx, wished)
        shown = {"cid": cids.to_text(wanted.cid), "name": wanted.name}
        await projects.audit(ctx, "pin_request.create", project_id, made.id, None, shown)
        await tell(ctx, made)
        ctx.ring("work")
    return made


async def _existing(ctx: Context, project_id: str, request_id: str) -> PinRequest:
    async with ctx.reading() as connection:
        found = await store.requests.get(connection, project_id, request_id)
    if found is None:
        raise PinRequestNotFound(request_id)
    return found


async def _remove(ctx: Context, request: PinRequest) -> None:
    async with ctx.transaction() as tx:
        await store.requests.delete(tx, request.id)
        await release(ctx, "upload", request.id)
        if request.made_pin and not await store.requests.has_pinned_twin(tx, request):
            pin = await store.pin(tx, request.project_id, request.pin.cid)
            if pin is not None:
                await let_go(ctx, pin)
        shown = {"cid": cids.to_text(request.pin.cid), "name": request.pin.name}
        await projects.audit(ctx, "pin_request.delete", request.project_id, request.id, shown, None)
        await tell(ctx, request, "pin.deleted")


def _check(wanted: WantedPin) -> None:
    if len(wanted.name) > NAME_MAX:
        raise InvalidPinRequest(f"A name has at most {NAME_MAX} characters.", field="name")
    if len(wanted.origins) > ORIGINS_MAX or len(set(wanted.origins)) != len(wanted.origins):
        raise InvalidPinRequest(f"There are at most {ORIGINS_MAX} origins, each once.", field="origins")
    if any(len(origin) > ORIGIN_LENGTH_MAX for origin in wanted.origins):
        raise InvalidPinRequest(f"An origin has at most {ORIGIN_LENGTH_MAX} characters.", field="origins")
    characters = sum(len(key) + len(value) for key, value in wanted.meta.items())
    if len(wanted.meta) > META_MAX or characters > META_CHARACTERS_MAX:
        raise InvalidPinRequest(
            f"meta has at most {META_MAX} fields and {META_CHARACTERS_MAX:,} characters.", field="meta"
        )
    _check_texts(wanted.name, *wanted.origins, *wanted.meta.keys(), *wanted.meta.values(), field="pin")


def _check_texts(*texts: str, field: str) -> None:
    """What both databases can keep and compare: no NUL, nothing that is not Unicode."""
    for text in texts:
        if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
            raise InvalidPinRequest("A text holds a character that cannot be kept.", field=field)
