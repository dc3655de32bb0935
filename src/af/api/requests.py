"""What a client sends: JSON, or multipart as in graphql-multipart-request-spec (without files)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from af.api.errors import BatchesOff, BodyTooLarge, MalformedRequest
from af.core.context import ActorKind, Context
from af.core.errors import TooLarge
from af.core.web import body, stream

BODY_BYTES_MAX = 1 << 20
_FIELDS_MAX = 4


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation. ``wants_stream`` asks for graphql-sse's distinct connections mode."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None
    wants_stream: bool
    strict_status: bool
    """Whether errors in the request are answered with 400, as ``application/graphql-response+json`` asks for."""


async def read(ctx: Context, request: Request) -> GraphQLRequest:
    """:raises MalformedRequest, BatchesOff, BodyTooLarge: not one GraphQL operation, or too large a body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            operations = await body(request, BODY_BYTES_MAX)
        elif kind == "multipart/form-data" and not _has_session(ctx):
            operations = await _multipart(request)
        else:
            raise MalformedRequest(
                "The body must be application/json.", hint="multipart/form-data is for requests with a token."
            )
    except TooLarge as error:
        raise BodyTooLarge(f"A GraphQL request has at most {BODY_BYTES_MAX} bytes.") from error
    accept = request.headers.get("accept", "")
    return _parsed(operations, "text/event-stream" in accept, "application/graphql-response+json" in accept)


def _has_session(ctx: Context) -> bool:
    """Forms of other sites can send multipart with a browser's cookie, but not JSON; nor can they send a token."""
    return ctx.actor.kind is ActorKind.USER and ctx.actor.token_id is None


def _parsed(operations: bytes, wants_stream: bool, strict_status: bool) -> GraphQLRequest:
    try:
        document = msgspec.json.decode(operations)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("The body is not JSON.", detail=str(error)) from error
    if isinstance(document, list):
        raise BatchesOff("One request carries one operation, not a list.")
    query = document.get("query") if isinstance(document, dict) else None
    if not isinstance(query, str) or not query:
        raise MalformedRequest("`query` must be a string.", field="query")
    variables = document.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise MalformedRequest("`variables` must be an object.", field="variables")
    if _NUL.search(query) or _has_unstorable_text(variables):
        raise MalformedRequest("Text must not contain NUL or half of a surrogate pair.")
    name = document.get("operationName")
    if name is not None and not isinstance(name, str):
        raise MalformedRequest("`operationName` must be a string.", field="operationName")
    return GraphQLRequest(query, variables or {}, name or None, wants_stream, strict_status)


_NUL = re.compile(r"\x00|\\u(0000|\{0+\})")  # also as GraphQL escapes it
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _has_unstorable_text(value: Any) -> bool:
    """Whether some text in a JSON value cannot be kept by PostgreSQL: NUL, or what UTF-8 has no bytes for."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if _UNSTORABLE.search(value):
                return True
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            pending.extend(value)
            pending.extend(value.values())
    return False


async def _multipart(request: Request) -> bytes:
    """The field ``operations``. Files are refused; ``map`` can then only point nulls at variables, which they are."""
    parser = MultiPartParser(
        request.headers,
        cast(AsyncGenerator[bytes, None], stream(request, BODY_BYTES_MAX)),
        max_files=0,
        max_fields=_FIELDS_MAX,
        max_part_size=BODY_BYTES_MAX,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise MalformedRequest(
            "The multipart body cannot be read; files are not accepted.", detail=str(error)
        ) from error
    operations = form.get("operations")
    if not isinstance(operations, str) or isinstance(operations, UploadFile):
        raise MalformedRequest("The form has no field `operations`.", field="operations")
    return operations.encode()
