"""The worker's part in pin requests: fetch the content, verify it whole, keep it."""

from __future__ import annotations

from dataclasses import replace

from af.core import metrics
from af.core.clock import monotonic
from af.core.context import Context, only_the_platform
from af.core.errors import Error
from af.core.http import Client
from af.core.ids import PinRequestId
from af.storage import store
from af.storage.backends.sources import Source, introduce, sources_for
from af.storage.errors import PinQuotaExceeded, PinRequestGone
from af.storage.models import PinRequest, PinState
from af.storage.service.access import block_store
from af.storage.service.dag import publish, release, verify_dag
from af.storage.service.pins import keep
from af.storage.service.requests import lease, tell, used_bytes
from af.storage.service.retrieval import Limits, retrieve

_AT_ONCE_PER_PROJECT = 2
_FOUND_MAX = 500
_REPORT_SECONDS = 1.0
_REASON_MAX = 2000


async def unfinished_pin_requests(ctx: Context) -> list[PinRequestId]:
    """Requests that want work now, oldest first. For the worker."""
    async with ctx.reading() as connection:
        return await store.requests.unfinished(connection, per_project=_AT_ONCE_PER_PROJECT, limit=_FOUND_MAX)


async def fulfil_pin_request(ctx: Context, request_id: PinRequestId) -> None:
    """Fetch what the request asks for and keep it. Repeating it goes on where it was; harmless at the end.

    :raises RetrievalFailed, RetrievalTooSlow, InvalidDag, DagTooLarge, PinQuotaExceeded, PinRequestGone:
    """
    only_the_platform(ctx)
    begun = await _begin(ctx, request_id)
    if begun is None:
        return
    request, bytes_left = begun
    settings = ctx.settings
    limits = Limits(
        block_bytes_max=settings.block_bytes_max,
        bytes_max=bytes_left,
        patience_seconds=settings.retrieval_patience_seconds,
        seconds_max=settings.retrieval_seconds_max,
    )
    client, origins = ctx.get(Client), request.pin.origins
    await introduce(settings, client, origins)
    sources = sources_for(settings, client, origins)
    report = _Report(ctx, request)
    await retrieve(block_store(ctx), request.project_id, request.pin.cid, sources, limits, report)
    summary = await verify_dag(ctx, request.project_id, request.pin.cid)
    await publish(ctx, request.pin.cid)
    async with ctx.transaction() as tx:
        await store.requests.take_turns(tx, request.project_id)
        if await store.requests.get(tx, request.project_id, request.id) is None:
            raise PinRequestGone("The pin request was removed meanwhile.")
        twin_made_it = await store.requests.has_pinned_twin(tx, request, made_pin=True)
        known = await store.pin(tx, request.project_id, request.pin.cid)
        kept_bytes = (await store.project_stats(tx, request.project_id)).bytes
        if known is None and kept_bytes + summary.bytes > settings.pin_bytes_max:  # also of what was here already
            raise PinQuotaExceeded(
                f"The content has {summary.bytes:,} bytes; with it the project would keep more than AF_PIN_BYTES_MAX.",
                hint="Remove pins that are no longer needed.",
            )
        name = request.pin.name if known is None or twin_made_it else ""  # a pin made otherwise keeps its name
        _, is_new = await keep(ctx, request.project_id, summary, name=name, folder="", public=True)
        made_pin = is_new or twin_made_it
        ended = {"state": PinState.PINNED.value, "reason": "", "made_pin": made_pin, "updated_at": ctx.now}
        await store.requests.update(tx, request.id, **ended, blocks=summary.blocks, bytes=report.bytes)
        await release(ctx, "upload", request.id)
        await tell(ctx, replace(request, state=PinState.PINNED))
    metrics.counter("af_storage_pin_requests_total").labels("pinned").inc()


async def fail_pin_request(ctx: Context, request_id: PinRequestId, error: Error) -> None:
    """The request is at its end without what it wanted; harmless when it is at another end already."""
    only_the_platform(ctx)
    reason = error.message[:_REASON_MAX]
    async with ctx.transaction() as tx:
        changed = await store.requests.update(
            tx, request_id, state=PinState.FAILED.value, reason=reason, updated_at=ctx.now
        )
        await release(ctx, "upload", request_id)
        request = await store.requests.get_any(tx, request_id)
        if changed and request is not None:
            await tell(ctx, request)
    if changed:
        metrics.counter("af_storage_pin_requests_total").labels("failed").inc()


async def _begin(ctx: Context, request_id: PinRequestId) -> tuple[PinRequest, int] | None:
    """The request, now being pinned, and how many bytes may still be fetched for it."""
    async with ctx.transaction() as tx:
        if not await store.requests.update(tx, request_id, state=PinState.PINNING.value, updated_at=ctx.now):
            return None
        request = await store.requests.get_any(tx, request_id)
        assert request is not None, "it was updated in this transaction"
        await lease(ctx, request, request.pin)
        await tell(ctx, request)
        used = await used_bytes(ctx, request.project_id)
    return request, max(0, ctx.settings.pin_bytes_max - used)


class _Report:
    """Writes the progress into the row now and then, and ends the work when the row is gone."""

    def __init__(self, ctx: Context, request: PinRequest) -> None:
        self._ctx = ctx
        self._request = request
        self._due = 0.0
        self.bytes = request.bytes  # of an earlier run that was cut off

    async def __call__(self, blocks: int, size: int) -> None:
        fetched = self._request.bytes + size
        metrics.counter("af_storage_retrieved_bytes_total").inc(fetched - self.bytes)
        self.bytes = fetched
        if monotonic() < self._due:
            return
        self._due = monotonic() + _REPORT_SECONDS
        values = {"blocks": self._request.blocks + blocks, "bytes": self.bytes, "updated_at": self._ctx.now}
        async with self._ctx.transaction() as tx:
            if not await store.requests.update(tx, self._request.id, **values):
                raise PinRequestGone("The pin request was removed meanwhile.")


def other_sources(ctx: Context) -> list[Source]:
    """Where content can be had besides our own store: our Kubo node and the operator's gateways."""
    return sources_for(ctx.settings, ctx.get(Client), ())
