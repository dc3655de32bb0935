"""``/graphql`` as an ASGI application: one operation per POST, an event stream when asked for, GraphiQL for people.

It runs inside `af.core.web.RequestContext`, which made the context and answers what is raised here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from inspect import isawaitable
from typing import Any

import msgspec
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from graphql import execute as graphql_execute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from af import projects
from af.api import cost, execute, explorer, render, requests, schema, streams
from af.api.documents import Documents, Prepared
from af.api.errors import StreamNeeded, TooSlow
from af.api.loaders import Loaders
from af.api.requests import GraphQLRequest
from af.core import metrics
from af.core.context import ActorKind, Context, Platform
from af.core.errors import Error
from af.core.web import context

EXECUTION_SECONDS = 300.0
"""For one query or mutation; far above what they take, garbage collection and scrubbing included."""


def application(platform: Platform) -> GraphQLApplication:
    """The ASGI application for ``/graphql``."""
    return GraphQLApplication(platform)


class GraphQLApplication:
    def __init__(self, platform: Platform) -> None:
        self._schema: GraphQLSchema = schema.executable()
        self._documents = Documents(self._schema, platform.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        ctx = context(request)
        response = await self._answer(ctx, request)
        await response(scope, receive, send)

    async def _answer(self, ctx: Context, request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return explorer.page(ctx, request)
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "GET, POST"})
        strict = False
        try:
            asked = await requests.read(ctx, request)
            strict = asked.strict_status
            prepared = self._documents.prepare(asked.query, signed_in=ctx.actor.kind is not ActorKind.ANONYMOUS)
            if not prepared.errors:
                most = ctx.settings.graphql_cost_max
                cost.check(self._schema, prepared.document, prepared.operation, asked.variables, most)
            if asked.wants_stream:
                return streams.response(ctx, request, self._run(ctx, request, asked, prepared))
            return _json(await self._execute(ctx, request, asked, prepared), strict)
        except (Error, GraphQLError) as error:
            _count("refused", "error")
            return _json(render.failure(ctx, error), strict)

    async def _execute(
        self, ctx: Context, request: Request, asked: GraphQLRequest, prepared: Prepared
    ) -> dict[str, Any]:
        """One query or mutation as a response document."""
        kind = prepared.operation.operation.value
        if prepared.errors:
            _count(kind, "error")
            return {"errors": render.errors(ctx, prepared.errors)}
        if prepared.is_subscription:
            raise StreamNeeded("A subscription needs `Accept: text/event-stream`.")
        try:
            async with asyncio.timeout(EXECUTION_SECONDS):
                if prepared.operation.operation is OperationType.QUERY:
                    with projects.memberships_read_once():
                        done = await self._result(ctx, request, asked, prepared)
                else:
                    done = await self._result(ctx, request, asked, prepared)
        except TimeoutError as error:
            raise TooSlow(f"The request took longer than {EXECUTION_SECONDS:.0f} seconds.") from error
        _count(kind, "error" if done.errors else "ok")
        return _document(ctx, done)

    async def _result(
        self, ctx: Context, request: Request, asked: GraphQLRequest, prepared: Prepared
    ) -> ExecutionResult:
        shared = {"ctx": ctx, "loaders": Loaders(), "request": request}
        hide = ctx.actor.kind is ActorKind.ANONYMOUS
        if prepared.plan is not None:
            return await execute.execute(
                self._schema, prepared.plan, prepared.operation, shared, asked.variables, hide_suggestions=hide
            )
        result = graphql_execute(
            self._schema,
            prepared.document,
            context_value=shared,
            variable_values=asked.variables,
            hide_suggestions=hide,
        )
        return await result if isawaitable(result) else result

    async def _run(
        self, ctx: Context, request: Request, asked: GraphQLRequest, prepared: Prepared
    ) -> AsyncIterator[dict[str, Any]]:
        """The response documents of any operation, for an event stream."""
        if not prepared.is_subscription or prepared.errors:
            yield await self._execute(ctx, request, asked, prepared)
            return
        loaders = Loaders()
        shared = {"ctx": ctx, "loaders": loaders, "request": request}
        _count("subscription", "ok")
        async for result in streams.subscribe(self._schema, prepared, asked, shared):
            yield _document(ctx, result)
            loaders.clear()


def _document(ctx: Context, result: ExecutionResult) -> dict[str, Any]:
    document: dict[str, Any] = {"data": result.data}
    if result.errors:
        document = {"errors": render.errors(ctx, result.errors), **document}
    return document


def _json(document: dict[str, Any], strict: bool) -> Response:
    """``application/json`` is answered with 200 whatever happened, as its clients expect (GraphQL over HTTP §6.4.1)."""
    refused = strict and "data" not in document
    media = "application/graphql-response+json" if strict else "application/json"
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(document), 400 if refused else 200, headers, media_type=media)


def _count(kind: str, outcome: str) -> None:
    metrics.counter("af_graphql_operations_total").labels(kind, outcome).inc()
