"""The REST routes as an OpenAPI 3.1 document, written by hand as a table. A test compares it with the routes that the
platform really has, both ways, so a route cannot appear or vanish unnoticed. GraphQL has its own schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import af

JSON = "application/json"
ANY = "application/octet-stream"
CAR = "application/vnd.ipld.car"
FORM = "multipart/form-data"
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}


@dataclass(frozen=True, slots=True)
class Operation:
    """``takes`` and ``gives`` are a content type and a schema; ``open`` means that no credentials are needed."""

    method: str
    path: str
    tag: str
    summary: str
    takes: tuple[str, dict[str, Any]] | None = None
    gives: tuple[int, str, dict[str, Any]] = (200, JSON, {})
    query: tuple[tuple[str, str], ...] = ()
    open: bool = False


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_DEPLOYMENT = {"$ref": "#/components/schemas/Deployment"}
_USER = _object(id=_TEXT, username=_TEXT, email={"type": ["string", "null"]})

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/health", "probes", "The process is alive.", gives=(200, JSON, _object(status=_TEXT)), open=True),
    Operation(
        "GET",
        "/ready",
        "probes",
        "Database, block store and worker answer (else 503, with what does not).",
        gives=(200, JSON, _object(status=_TEXT, checks={"type": "object", "additionalProperties": _TEXT})),
        open=True,
    ),
    Operation(
        "GET",
        "/metrics",
        "probes",
        "Prometheus metrics; to this machine and private networks only.",
        gives=(200, "text/plain", _TEXT),
        open=True,
    ),
    Operation(
        "GET",
        "/auth/link",
        "auth",
        "The page behind a one-time login link; uses nothing up.",
        gives=(200, "text/html", _TEXT),
        query=(("token", "The link's secret."),),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/link",
        "auth",
        "Sign this browser in by the link's secret.",
        takes=("application/x-www-form-urlencoded", _object(token=_TEXT)),
        gives=(303, "text/html", _TEXT),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/logout",
        "auth",
        "End this browser's session.",
        gives=(200, JSON, _object(success={"type": "boolean"})),
        open=True,
    ),
    Operation("GET", "/auth/me", "auth", "Who the credentials belong to.", gives=(200, JSON, _object(user=_USER))),
    Operation(
        "GET",
        "/v1/projects/{project}/events",
        "projects",
        "What happens in the project, as it happens. Resume with Last-Event-ID.",
        gives=(200, "text/event-stream", _TEXT),
        query=(
            ("topic", "site:<id>, deployment:<id> or project:<id>; without it, everything."),
            ("after", "Replay events with a higher id first; 0 replays what is kept."),
        ),
    ),
    Operation(
        "POST",
        "/v1/sites/{site}/archive",
        "sites",
        "Deploy a tar, tar.gz or zip; follow the deployment to its final state.",
        takes=(ANY, {"type": "string", "format": "binary"}),
        gives=(202, JSON, _object(deployment=_DEPLOYMENT)),
        query=(("production", "false makes a preview."), ("message", "Shown in the history.")),
    ),
)

_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "description": "RFC 9457. `af explain <reference>` says more.",
        **_object(type=_TEXT, title=_TEXT, status=_COUNT, detail=_TEXT, code=_TEXT, reference=_TEXT, requestId=_TEXT),
    },
    "Deployment": _object(
        id=_TEXT,
        siteId=_TEXT,
        status={"enum": ["PENDING", "BUILDING", "UPLOADING", "SUCCESS", "FAILED", "CANCELED"]},
        cid={"type": ["string", "null"]},
        url=_TEXT,
        previewUrl=_TEXT,
        production={"type": "boolean"},
        files=_COUNT,
        bytes=_COUNT,
        message=_TEXT,
        error={"type": ["object", "null"], "properties": {"code": _TEXT, "message": _TEXT}},
        createdAt={"type": "string", "format": "date-time"},
    ),
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Alternate Futures", "version": af.__version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": "http://localhost:8787"}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _SCHEMAS,
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    status, content_type, schema = operation.gives
    names = [part.strip("{}").removesuffix(":path") for part in operation.path.split("/") if part.startswith("{")]
    made: dict[str, Any] = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [] if operation.open else [{"token": []}],
        "responses": {
            str(status): {"description": operation.summary, "content": {content_type: {"schema": schema}}},
            "default": {
                "description": "An error.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    parameters += [{"name": n, "in": "query", "description": text, "schema": _TEXT} for n, text in operation.query]
    if parameters:
        made["parameters"] = parameters
    if operation.takes is not None:
        taken, body = operation.takes
        made["requestBody"] = {"required": True, "content": {taken: {"schema": body}}}
    return made
