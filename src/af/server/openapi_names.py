"""The REST routes of names, for `openapi`."""

from __future__ import annotations

from af.server.openapi_shapes import COUNT, JSON, TEXT, Operation, object_of

_RECORD = "application/vnd.ipfs.ipns-record"
_BINARY = {"type": "string", "format": "binary"}
_ONE = "/v1/projects/{project}/ipns/{name}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/routing/v1/ipns/{name}",
        "names",
        "The newest valid IPNS record of a name that is kept here (Delegated Routing V1).",
        gives=(200, _RECORD, _BINARY),
        open=True,
    ),
    Operation("GET", _ONE, "names", "The newest IPNS record of a name of the project.", gives=(200, _RECORD, _BINARY)),
    Operation(
        "PUT",
        _ONE,
        "names",
        "Keep an IPNS record that was signed elsewhere; it must verify and be newer than what is here.",
        takes=(_RECORD, _BINARY),
        gives=(
            200,
            JSON,
            object_of(
                id=TEXT,
                name=TEXT,
                value=TEXT,
                sequence=COUNT,
                validUntil={"type": "string", "format": "date-time"},
                ttl={"type": "number"},
            ),
        ),
    ),
)
