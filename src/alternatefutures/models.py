"""What the platform returns, as values. Times are ISO-8601 text in UTC, sizes bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypedDict, TypeVar

Model = TypeVar("Model")

_SIZES = frozenset({"bytes", "size"})
_STATES = {"SUCCESS": "ready", "FAILED": "failed", "CANCELED": "canceled"}


def state(status: str) -> str:
    """A deployment's status in the words of the command line: ``ready``, ``failed``, ``canceled`` are final."""
    return _STATES.get(status, status.lower())


@dataclass(frozen=True, slots=True)
class User:
    id: str
    email: str | None
    username: str | None


@dataclass(frozen=True, slots=True)
class Project:
    id: str
    name: str
    slug: str
    createdAt: str  # noqa: N815 - wire names, so that --json needs no translation


class DeploymentError(TypedDict):
    """Why a deployment failed."""

    code: str | None
    message: str | None


class RejectedRule(TypedDict):
    """A line of ``_redirects`` or ``_headers`` that means nothing; ``line`` counts from 1."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deployment:
    id: str
    status: str
    cid: str
    url: str
    siteId: str  # noqa: N815
    production: bool
    current: bool
    files: int | None
    bytes: int | None
    message: str | None
    createdAt: str  # noqa: N815
    error: DeploymentError | None
    rejectedRules: list[RejectedRule]  # noqa: N815


@dataclass(frozen=True, slots=True)
class Site:
    id: str
    slug: str
    name: str
    url: str
    createdAt: str  # noqa: N815
    currentDeployment: Deployment | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class Token:
    id: str
    name: str
    scopes: list[str]
    expiresAt: str | None  # noqa: N815
    lastUsedAt: str | None  # noqa: N815
    createdAt: str  # noqa: N815
    token: str | None = None
    maskedToken: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class SignedInSession:
    """A place where the user is signed in; ``current`` is this one."""

    id: str
    current: bool
    kind: str
    method: str
    device: str | None
    address: str
    place: str | None
    createdAt: str  # noqa: N815
    lastSeenAt: str | None  # noqa: N815
    expiresAt: str  # noqa: N815


@dataclass(frozen=True, slots=True)
class Pin:
    cid: str
    name: str | None
    size: int | None
    createdAt: str  # noqa: N815


class FileSize(TypedDict):
    path: str
    bytes: int


class FileChange(TypedDict):
    path: str
    bytesBefore: int
    bytesAfter: int


DeploymentDiff = TypedDict(
    "DeploymentDiff",
    {
        "from": str,
        "to": str,
        "added": list[FileSize],
        "removed": list[FileSize],
        "changed": list[FileChange],
        "headersAdded": list[str],
        "headersRemoved": list[str],
        "redirectsAdded": list[str],
        "redirectsRemoved": list[str],
        "truncated": bool,
    },
)
"""What changed between two deployments; the lists are cut when ``truncated``."""


class LogEntry(TypedDict):
    """One line of a deployment's log."""

    timestamp: str
    level: str
    message: str


class ImportReceipt(TypedDict):
    """What a CAR brought: ``newBlocks`` of ``blocks`` were not held; ``complete``: all below the roots is there."""

    roots: list[str]
    blocks: int
    newBlocks: int
    bytes: int
    complete: bool


class StorageStats(TypedDict):
    """The whole block store; ``deadBytes`` can be reclaimed."""

    blocks: int
    bytes: int
    segments: int
    deadBytes: int


class Collected(TypedDict):
    """What a garbage collection removed, or would remove on a dry run."""

    dryRun: bool
    blocks: int
    bytes: int
    freedBytes: int


class Scrubbed(TypedDict):
    """How much was hashed again, and the CIDs of the blocks that are damaged."""

    blocks: int
    bytes: int
    corrupt: list[str]


def build(model: type[Model], document: dict[str, Any]) -> Model:
    """``model`` from a GraphQL object; fields that the model does not know are left out."""
    known = {f.name for f in fields(model)}  # type: ignore[arg-type]
    values = {name: value for name, value in document.items() if name in known}
    for name in _SIZES & values.keys():  # GraphQL has no integer of 64 bits, so sizes travel as Float
        values[name] = None if values[name] is None else int(values[name])
    if model is Deployment:
        values["status"] = state(values["status"])
    if model is Site and values.get("currentDeployment"):
        values["currentDeployment"] = build(Deployment, values["currentDeployment"])
    return model(**values)


def as_document(model: Any) -> dict[str, Any]:
    """A model as the object that ``--json`` prints."""
    return asdict(model)


def whole(value: Any) -> Any:
    """A GraphQL answer with its sizes and counts as integers, at any depth; they travel as Float."""
    if isinstance(value, float):
        return int(value)
    if isinstance(value, list):
        return [whole(one) for one in value]
    if isinstance(value, dict):
        return {name: whole(one) for name, one in value.items()}
    return value
