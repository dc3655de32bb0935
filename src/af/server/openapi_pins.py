"""The routes of the IPFS Pinning Service API, for `openapi`. The standard's own document says more."""

from __future__ import annotations

from typing import Any

from af.server.openapi_shapes import COUNT, JSON, TEXT, Operation, list_of, object_of

_TAG = "pinning service"
_TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
_PIN: dict[str, Any] = {
    "type": "object",
    "required": ["cid"],
    "properties": {
        "cid": TEXT,
        "name": {"type": "string", "maxLength": 255},
        "origins": {**list_of(TEXT), "maxItems": 20, "uniqueItems": True},
        "meta": {**_TEXTS, "maxProperties": 1000},
    },
}
_STATE: dict[str, Any] = {"type": "string", "enum": ["queued", "pinning", "pinned", "failed"]}
_STATUS = object_of(
    requestid=TEXT,
    status=_STATE,
    created={"type": "string", "format": "date-time"},
    pin=_PIN,
    delegates={**list_of(TEXT), "maxItems": 20},
    info=_TEXTS,
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/pins",
        _TAG,
        "Pin requests that match, the newest first (IPFS Pinning Service API 1.0.0).",
        gives=(200, JSON, object_of(count=COUNT, results={**list_of(_STATUS), "maxItems": 1000})),
        query=(
            ("cid", "Up to 10 CIDs, with commas."),
            ("name", "Of the pin."),
            ("match", "How the name is compared: exact (default), iexact, partial or ipartial."),
            ("status", "queued, pinning, pinned, failed, with commas. By default pinned; with name all but failed."),
            ("before", "Created before this time."),
            ("after", "Created after this time."),
            ("limit", "1 to 1000; 10 by default."),
            ("meta", 'JSON of texts that the pin has in meta, as {"app_id": "x"}.'),
        ),
    ),
    Operation(
        "POST",
        "/pins",
        _TAG,
        "Have content fetched from its origins, our Kubo node or gateways, and kept.",
        takes=(JSON, _PIN),
        gives=(202, JSON, _STATUS),
    ),
    Operation("GET", "/pins/{requestid}", _TAG, "One pin request and how far it is.", gives=(200, JSON, _STATUS)),
    Operation(
        "POST",
        "/pins/{requestid}",
        _TAG,
        "Replace a pin request; what both have in common is not fetched again.",
        takes=(JSON, _PIN),
        gives=(202, JSON, _STATUS),
    ),
    Operation(
        "DELETE", "/pins/{requestid}", _TAG, "Forget a pin request and let go what it keeps.", gives=(202, JSON, {})
    ),
)
