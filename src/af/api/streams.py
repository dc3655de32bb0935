"""Operations as event streams: graphql-sse, "distinct connections mode" (one request, one operation).

``event: next`` carries a response document, ``event: complete`` ends. A stream does not outlive its caller's rights:
they are looked at again at every heartbeat and before every event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import ExecutionResult, FieldNode, GraphQLError, GraphQLSchema
from graphql import subscribe as graphql_subscribe
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from af import auth
from af.api import render
from af.api.documents import Prepared
from af.api.requests import GraphQLRequest
from af.core import sse
from af.core.context import Actor, ActorKind, Context
from af.core.errors import Error, Unauthenticated

HEARTBEAT_SECONDS = 12.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Documents = AsyncIterator[dict[str, Any]]


def response(ctx: Context, request: Request, documents: Documents) -> Response:
    """:raises TooManyStreams: the caller has too many open."""
    lines = sse.counted(ctx, _lines(ctx, request, documents))
    return StreamingResponse(lines, headers=_HEADERS, media_type="text/event-stream")


async def subscribe(
    schema: GraphQLSchema, prepared: Prepared, asked: GraphQLRequest, shared: dict[str, Any]
) -> AsyncGenerator[ExecutionResult, None]:
    """The results of a subscription; one result with errors when it cannot begin."""
    source = graphql_subscribe(
        schema,
        prepared.document,
        context_value=shared,
        variable_values=asked.variables,
        operation_name=asked.operation_name,
    )
    if isawaitable(source):
        source = await source
    if isinstance(source, ExecutionResult):
        yield source
        return
    try:
        async for result in source:
            yield result
    except Error as error:  # the source refused when it was first asked, or failed in the middle
        node = prepared.operation.selection_set.selections[0]
        path = [node.alias.value if node.alias else node.name.value] if isinstance(node, FieldNode) else None
        yield ExecutionResult(None, [GraphQLError(error.message, node, path=path, original_error=error)])
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _lines(ctx: Context, request: Request, documents: Documents) -> AsyncGenerator[bytes, None]:
    pending: asyncio.Future[dict[str, Any] | None] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(documents))
            done, _ = await asyncio.wait([pending], timeout=HEARTBEAT_SECONDS)
            await _check_rights(ctx, request)
            if not done:
                yield b":\n\n"
                continue
            document, pending = pending.result(), None
            if document is None:
                break
            yield _event(document)
    except Exception as error:  # the edge: a stream that has begun can only say so in itself
        yield _event(render.failure(ctx, error))
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Error, GraphQLError):
                await pending
        if isinstance(documents, AsyncGenerator):
            await documents.aclose()
    yield b"event: complete\ndata:\n\n"


async def _next(documents: Documents) -> dict[str, Any] | None:
    return await anext(documents, None)


async def _check_rights(ctx: Context, request: Request) -> None:
    """:raises Unauthenticated: the token was revoked or has expired, or the browser signed out."""
    nobody = ctx.acting_as(Actor(ActorKind.ANONYMOUS, address=ctx.actor.address))
    if await auth.authenticate(nobody, request) != ctx.actor:
        raise Unauthenticated("The session has ended.", hint="Sign in again.")


def _event(document: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + msgspec.json.encode(document) + b"\n\n"
