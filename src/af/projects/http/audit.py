"""The audit log as a file: JSON Lines, which can be verified, or CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from af.core.audit import AuditEntry, Filter
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.web import context
from af.projects import service as projects

FIELDS = tuple(AuditEntry.__dataclass_fields__)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


async def of_project(request: Request) -> Response:
    """``GET /v1/projects/{project}/audit?format=jsonl|csv&action=&user=&target=&since=&until=``: oldest first."""
    ctx = context(request)
    return _file(ctx, request, await projects.project_chain(ctx, request.path_params["project"]))


async def of_organization(request: Request) -> Response:
    """``GET /v1/organizations/{organization}/audit``: as a project's."""
    ctx = context(request)
    return _file(ctx, request, await projects.organization_chain(ctx, request.path_params["organization"]))


async def of_account(request: Request) -> Response:
    """``GET /account/audit``: what happened to one's own account, as a project's."""
    ctx = context(request)
    return _file(ctx, request, await projects.own_chain(ctx))


def _file(ctx: Context, request: Request, chain: str) -> Response:
    kind = request.query_params.get("format", "jsonl")
    if kind not in ("jsonl", "csv"):
        raise InvalidInput("format is jsonl or csv.", field="format")
    query = request.query_params
    wanted = Filter(
        action=query.get("action", ""),
        user_id=query.get("user"),
        target=query.get("target"),
        since=_moment(query.get("since"), "since"),
        until=_moment(query.get("until"), "until"),
    )
    wanted.check()
    media_type = "application/jsonl" if kind == "jsonl" else "text/csv; charset=utf-8"
    headers = {
        "Content-Disposition": f'attachment; filename="audit.{kind}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    lines = _json_lines if kind == "jsonl" else _csv_lines
    return StreamingResponse(lines(ctx, chain, wanted), media_type=media_type, headers=headers)


async def _json_lines(ctx: Context, chain: str, wanted: Filter) -> AsyncIterator[str]:
    async for batch in projects.every_entry(ctx, chain, wanted):
        yield "".join(json.dumps(_shown(entry)) + "\n" for entry in batch)


async def _csv_lines(ctx: Context, chain: str, wanted: Filter) -> AsyncIterator[str]:
    yield _csv([FIELDS])
    async for batch in projects.every_entry(ctx, chain, wanted):
        yield _csv([[_cell(value) for value in _shown(entry).values()] for entry in batch])


def _shown(entry: AuditEntry) -> dict[str, Any]:
    """Field by field as they are hashed, so that an export can be checked without the platform."""
    fields = {name: getattr(entry, name) for name in FIELDS}
    return {**fields, "created_at": entry.created_at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"}


def _cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection"""
    if value is None:
        return ""
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict) else str(value)
    return "'" + text if text.lstrip(" ").startswith(_FORMULA) else text


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{name} is a time such as 2026-01-31T12:00:00Z.", field=name) from error
    if moment.tzinfo is None:
        raise InvalidInput(f"{name} is a time with its time zone, 2026-01-31T12:00:00Z.", field=name)
    return moment


routes = [
    Route("/v1/projects/{project}/audit", of_project, methods=["GET"]),
    Route("/v1/organizations/{organization}/audit", of_organization, methods=["GET"]),
    Route("/account/audit", of_account, methods=["GET"]),
]
