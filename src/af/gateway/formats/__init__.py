"""Content in other forms than a web page's: which one a request asks for, and one module for each
(https://specs.ipfs.tech/http-gateways/path-gateway/#format-request-query-parameter)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from af.gateway.errors import InvalidAddress
from af.gateway.requests import Request

_ACCEPT_BYTES_MAX = 1_024
_PARAMETERS_MAX = 8

MEDIA_TYPES: Mapping[str, bytes] = {
    "raw": b"application/vnd.ipld.raw",
    "car": b"application/vnd.ipld.car",
    "tar": b"application/x-tar",
    "json": b"application/json",
    "cbor": b"application/cbor",
    "dag-json": b"application/vnd.ipld.dag-json",
    "dag-cbor": b"application/vnd.ipld.dag-cbor",
    "ipns-record": b"application/vnd.ipfs.ipns-record",
}
_NAMES = {media_type: name for name, media_type in MEDIA_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A form that was asked for. ``parameters`` are those of its media type in Accept (``dups`` of a CAR)."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def wanted(request: Request) -> Wanted | None:
    """What the request asks for, or `None` for the content itself. ``format`` wins over Accept (IPIP-523), whose
    parameters then still count if they are of the same form.

    :raises InvalidAddress: an unknown format is named
    """
    accepted = _accepted(request.headers.get(b"accept", b""))
    named = request.parameter("format")
    if named is None or named == "":
        return accepted
    if named not in MEDIA_TYPES:
        raise InvalidAddress(
            f"The format {named[:32]!r} is unknown.", hint=f"Use format= one of {', '.join(MEDIA_TYPES)}."
        )
    return accepted if accepted is not None and accepted.name == named else Wanted(named)


def _accepted(header: bytes) -> Wanted | None:
    """The first form in an Accept header that is one of ours."""
    for item in header[:_ACCEPT_BYTES_MAX].split(b","):
        kind, *parameters = item.split(b";", _PARAMETERS_MAX)
        name = _NAMES.get(kind.strip().lower())
        if name is not None:
            pairs = (parameter.decode("latin-1").partition("=") for parameter in parameters)
            return Wanted(name, {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs})
    return None
