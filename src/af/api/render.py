"""Errors as GraphQL shows them: ``message`` and ``extensions {code, kind, reference, hint, requestId}``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError

from af.core.context import Context
from af.core.errors import Error, InvalidInput
from af.core.web import as_error

_PLAIN = {
    "unauthenticated": "UNAUTHENTICATED",
    "forbidden": "FORBIDDEN",
    "not_found": "NOT_FOUND",
    "invalid_input": "BAD_USER_INPUT",
    "internal": "INTERNAL_SERVER_ERROR",
}
"""The original's codes, which its clients know."""


def failure(ctx: Context, error: Exception) -> dict[str, Any]:
    """A response without data for a request that was refused before it was executed."""
    if isinstance(error, GraphQLError):
        return {"errors": [_shown(ctx, error)]}
    return {"errors": [{"message": (found := as_error(error, ctx.log)).message, "extensions": _extensions(ctx, found)}]}


def errors(ctx: Context, found: Iterable[GraphQLError]) -> list[dict[str, Any]]:
    return [_shown(ctx, error) for error in found]


def _shown(ctx: Context, error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    shown: dict[str, Any] = {"message": error.message}
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        shown["path"] = error.path
    if cause is None:  # found by the GraphQL engine itself: its text is about the request only
        shown["extensions"] = _extensions(ctx, InvalidInput(error.message)) | {"code": _engine_code(error)}
        return shown
    public = as_error(cause, ctx.log)
    shown["message"] = public.message
    shown["extensions"] = _extensions(ctx, public)
    return shown


def _engine_code(error: GraphQLError) -> str:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    return "BAD_USER_INPUT" if error.path else "GRAPHQL_VALIDATION_FAILED"


def _extensions(ctx: Context, error: Error) -> dict[str, Any]:
    is_plain = error.code == error.kind
    extensions: dict[str, Any] = {
        "code": _PLAIN.get(error.kind, error.kind.upper()) if is_plain else error.code.upper(),
        "kind": error.kind,
        "reference": error.reference,
        "requestId": ctx.request_id,
    }
    if error.hint:
        extensions["hint"] = error.hint
    if error.field:
        extensions["field"] = error.field
    if error.retry_after_seconds is not None:
        extensions["retryAfter"] = max(1, round(error.retry_after_seconds))
    return extensions
