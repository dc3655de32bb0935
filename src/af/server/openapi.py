"""The REST routes as an OpenAPI 3.1 document, written by hand as a table. A test compares it with the routes that the
platform really has, both ways, so a route cannot appear or vanish unnoticed. GraphQL has its own schema."""

from __future__ import annotations

import re
from typing import Any

import af
from af.server import openapi_account, openapi_names, openapi_pins, openapi_sign_in, openapi_teams
from af.server.openapi_shapes import COUNT as _COUNT
from af.server.openapi_shapes import FLAG as _FLAG
from af.server.openapi_shapes import JSON, Operation
from af.server.openapi_shapes import TEXT as _TEXT
from af.server.openapi_shapes import list_of as _list
from af.server.openapi_shapes import object_of as _object

ANY = "application/octet-stream"
CAR = "application/vnd.ipld.car"
FORM = "multipart/form-data"

_DEPLOYMENT = {"$ref": "#/components/schemas/Deployment"}
_BINARY = {"type": "string", "format": "binary"}
_RECEIPT = {"roots": _list(_TEXT), "blocks": _COUNT, "newBlocks": _COUNT, "bytes": _COUNT}
_ENTRY = {"cid": _TEXT, "kind": _TEXT, "size": _COUNT}
_OR_NULL = ["string", "null"]
_CONTENT = "/v1/projects/{project}/content"
_NEW_TOKEN: dict[str, Any] = {"name": _TEXT, "expiresAt": _COUNT, "scopes": _list(_TEXT)}
_TOKEN = _object(id=_TEXT, name=_TEXT, scopes=_list(_TEXT), createdAt=_COUNT)
_SESSION = _object(id=_TEXT, current=_FLAG, kind=_TEXT, method=_TEXT, address=_TEXT, createdAt=_TEXT, expiresAt=_TEXT)
_USER = _object(id=_TEXT, username=_TEXT, email={"type": ["string", "null"]})
_BOOLEAN = {"type": "boolean"}
_DEVICE = _object(
    success=_BOOLEAN,
    verificationSessionId=_TEXT,
    pollSecret=_TEXT,
    verificationUrl=_TEXT,
    userCode=_TEXT,
    expiresIn=_COUNT,
    interval=_COUNT,
)
_DEVICE_TOKENS = _object(
    success=_BOOLEAN, token=_TEXT, accessToken=_TEXT, refreshToken=_TEXT, expiresIn=_COUNT, user=_USER
)

OPERATIONS: tuple[Operation, ...] = (
    *openapi_account.OPERATIONS,
    *openapi_names.OPERATIONS,
    *openapi_pins.OPERATIONS,
    *openapi_sign_in.OPERATIONS,
    *openapi_teams.OPERATIONS,
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
        "/auth/cli/start",
        "auth",
        "A device begins to sign in: what it shows to the person, and the secret that it keeps.",
        takes=(JSON, {"type": "object", "properties": {"name": _TEXT, "redirectUri": _TEXT, "codeChallenge": _TEXT}}),
        gives=(200, JSON, _DEVICE),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/cli/approve",
        "auth",
        "Let a device in; from a page of the platform, with a browser session.",
        takes=(JSON, _object(verificationSessionId=_TEXT, userCode=_TEXT)),
        gives=(200, JSON, _object(success=_BOOLEAN, redirectTo={"type": ["string", "null"]})),
    ),
    Operation(
        "POST",
        "/auth/cli/deny",
        "auth",
        "Refuse a device; from a page of the platform, with a browser session.",
        takes=(JSON, _object(verificationSessionId=_TEXT)),
        gives=(200, JSON, _object(success=_BOOLEAN, redirectTo={"type": ["string", "null"]})),
    ),
    Operation(
        "POST",
        "/auth/cli/poll",
        "auth",
        "The device asks: 202 while nobody has answered, then its tokens once.",
        takes=(JSON, _object(verificationSessionId=_TEXT, pollSecret=_TEXT)),
        gives=(200, JSON, _DEVICE_TOKENS),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/cli/exchange",
        "auth",
        "The device's tokens for the code that the browser brought to its loopback address (PKCE).",
        takes=(JSON, _object(code=_TEXT, codeVerifier=_TEXT)),
        gives=(200, JSON, _DEVICE_TOKENS),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/logout",
        "auth",
        "End the session of the request, and that of a refresh token (`refreshToken`, optional).",
        gives=(200, JSON, _object(success=_FLAG, message=_TEXT)),
        open=True,
    ),
    Operation(
        "POST",
        "/auth/refresh",
        "auth",
        "The next access and refresh token. Each refresh token works once; used again later, it ends the session.",
        takes=(JSON, _object(refreshToken=_TEXT)),
        gives=(200, JSON, _object(success=_FLAG, accessToken=_TEXT, refreshToken=_TEXT, expiresIn=_COUNT)),
        open=True,
    ),
    Operation(
        "GET",
        "/.well-known/jwks.json",
        "auth",
        "The public keys of access tokens (RFC 7517).",
        gives=(200, JSON, _object(keys=_list({"type": "object"}))),
        open=True,
    ),
    Operation(
        "GET",
        "/account/sessions",
        "account",
        "Where you are signed in. Not with an access token.",
        gives=(200, JSON, _object(sessions=_list(_SESSION))),
    ),
    Operation(
        "DELETE",
        "/account/sessions",
        "account",
        "Sign out everywhere else.",
        gives=(200, JSON, _object(success=_FLAG, revoked=_COUNT)),
        query=(("all", "true signs out here, too."),),
    ),
    Operation(
        "DELETE",
        "/account/sessions/{id}",
        "account",
        "Sign out somewhere.",
        gives=(200, JSON, _object(success=_FLAG)),
    ),
    Operation(
        "POST",
        "/tokens",
        "tokens",
        "A new access token; its text this once. `expiresAt` (ms since 1970) and `scopes` are optional.",
        takes=(JSON, {"type": "object", "properties": _NEW_TOKEN, "required": ["name"], "additionalProperties": False}),
        gives=(201, JSON, _object(success=_FLAG, token=_TOKEN)),
    ),
    Operation(
        "GET",
        "/tokens",
        "tokens",
        "Your access tokens, newest first, 100 at a time.",
        gives=(200, JSON, _object(tokens=_list(_TOKEN))),
        query=(("after", "The endCursor of the page before."),),
    ),
    Operation(
        "GET",
        "/tokens/limits",
        "tokens",
        "How many more access tokens you may make.",
        gives=(200, JSON, _object(rateLimit={"type": "object"}, tokenLimit={"type": "object"})),
    ),
    Operation(
        "POST",
        "/tokens/validate",
        "tokens",
        "Whose access token it is; 401 with one text for any other.",
        takes=(JSON, _object(token=_TEXT)),
        gives=(200, JSON, _object(valid=_FLAG, userId=_TEXT, tokenId=_TEXT)),
        open=True,
    ),
    Operation("DELETE", "/tokens/{id}", "tokens", "Revoke an access token.", gives=(200, JSON, _object(success=_FLAG))),
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
        takes=(ANY, _BINARY),
        gives=(202, JSON, _object(deployment=_DEPLOYMENT)),
        query=(("production", "false makes a preview."), ("message", "Shown in the history.")),
    ),
    Operation(
        "POST",
        f"{_CONTENT}/missing",
        "content",
        "Which of up to 20,000 blocks the project must still send.",
        takes=(JSON, _object(cids={**_list(_TEXT), "maxItems": 20_000})),
        gives=(200, JSON, _object(missing=_list(_TEXT))),
    ),
    Operation(
        "POST",
        f"{_CONTENT}/car",
        "content",
        "Blocks as a CAR. Each is verified; what is acknowledged is on disk. Sending one again does no harm.",
        takes=(CAR, _BINARY),
        gives=(200, JSON, _object(**_RECEIPT)),
    ),
    Operation(
        "POST",
        f"{_CONTENT}/import",
        "content",
        "A CAR of any size, pinned if it is complete.",
        takes=(CAR, _BINARY),
        gives=(200, JSON, _object(**_RECEIPT, complete={"type": "boolean"}, missing=_list(_TEXT))),
        query=(("name", "Of the pin."), ("public", "false keeps it to the project.")),
    ),
    Operation(
        "GET",
        f"{_CONTENT}/{{cid}}.car",
        "content",
        "Everything below a CID as a CARv1.",
        gives=(200, CAR, _BINARY),
    ),
    Operation(
        "GET",
        f"{_CONTENT}/{{cid}}/file/{{path}}",
        "content",
        "The bytes of one file, as a download.",
        gives=(200, ANY, _BINARY),
    ),
    Operation(
        "GET",
        f"{_CONTENT}/{{cid}}/folder/{{path}}",
        "content",
        "What a path below a CID is, and what a folder there holds.",
        gives=(200, JSON, _object(**_ENTRY, entries=_list(_object(name=_TEXT, **_ENTRY)), after={"type": _OR_NULL})),
        query=(("first", "At most so many entries, up to 1000."), ("after", "Entries behind this name.")),
    ),
    Operation(
        "GET",
        "/duplicity/{cid}",
        "original upload protocol",
        "409 when the project has the CID pinned already.",
        gives=(200, JSON, _object(duplicate={"type": "boolean"})),
    ),
    Operation(
        "GET",
        "/folder/{folder}/duplicity/{name}",
        "original upload protocol",
        "409 when the folder has a pin of that name.",
        gives=(200, JSON, _object(duplicate={"type": "boolean"})),
    ),
    Operation(
        "POST",
        "/store",
        "original upload protocol",
        "One shard, a whole CAR; answers with the shard's CID.",
        takes=(ANY, _BINARY),
        gives=(200, "text/plain", _TEXT),
    ),
    Operation(
        "POST",
        "/upload",
        "original upload protocol",
        "All shards were sent: verify what is below the root and pin it.",
        takes=(JSON, {"type": "object", "properties": {"rootCid": _TEXT, "basename": _TEXT}, "required": ["rootCid"]}),
        gives=(200, JSON, _object(pin=_object(cid=_TEXT, size=_COUNT), duplicate={"type": "boolean"})),
        query=(("function", "true keeps it to the project."),),
    ),
    Operation(
        "POST",
        "/upload/private",
        "original upload protocol",
        "One file that only the project can read, with its hash.",
        takes=(FORM, _object(file=_BINARY, hash=_TEXT)),
        gives=(201, JSON, _object(cid=_TEXT, size=_COUNT)),
    ),
    Operation(
        "DELETE",
        "/delete/{cid}",
        "original upload protocol",
        "Stop keeping a CID.",
        gives=(200, JSON, _object(message=_TEXT)),
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
    names = re.findall(r"\{(\w+)\}", operation.path)
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
