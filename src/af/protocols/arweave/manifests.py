"""Manifests: one id under which many files are found by their paths, https://specs.ar.io/ (arweave/paths 0.2.0).

A gateway answers ``/<manifest id>/css/a.css`` with the item that the manifest names for ``css/a.css``, ``/<manifest
id>/`` with its index, and what it does not name with its fallback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from af.protocols.arweave.encoding import is_id

CONTENT_TYPE = "application/x.arweave-manifest+json"
VERSION = "0.2.0"
_READABLE = ("0.1.0", "0.2.0")
PATHS_MAX = 100_000
PATH_BYTES_MAX = 4096
MANIFEST_BYTES_MAX = 64 << 20


class InvalidManifest(ValueError):
    """Not a manifest of paths, or out of bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``paths``: path -> id. ``index`` is the path for the root, ``fallback`` the id for what is not there."""

    paths: Mapping[str, str]
    index: str = ""
    fallback: str = ""


def encode(manifest: Manifest) -> bytes:
    """Its JSON, paths in order: the same files give the same bytes.

    :raises InvalidManifest: out of bounds, not an id, or an index that is no path.
    """
    _check(manifest)
    value: dict[str, object] = {"manifest": "arweave/paths", "version": VERSION}
    if manifest.index:
        value["index"] = {"path": manifest.index}
    if manifest.fallback:
        value["fallback"] = {"id": manifest.fallback}
    value["paths"] = {path: {"id": manifest.paths[path]} for path in sorted(manifest.paths)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def decode(data: bytes) -> Manifest:
    """:raises InvalidManifest: it is none."""
    if len(data) > MANIFEST_BYTES_MAX:
        raise InvalidManifest(f"more than {MANIFEST_BYTES_MAX} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidManifest("not JSON") from error
    if not isinstance(value, dict) or value.get("manifest") != "arweave/paths" or value.get("version") not in _READABLE:
        raise InvalidManifest(f"not an arweave/paths manifest of version {' or '.join(_READABLE)}")
    paths = value.get("paths")
    if not isinstance(paths, dict):
        raise InvalidManifest("without paths")
    manifest = Manifest(
        paths={path: _text(entry, "id") for path, entry in paths.items()},
        index=_text(value["index"], "path") if "index" in value else "",
        fallback=_text(value["fallback"], "id") if "fallback" in value else "",
    )
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    if len(manifest.paths) > PATHS_MAX:
        raise InvalidManifest(f"more than {PATHS_MAX} paths")
    for path, item in manifest.paths.items():
        if not 0 < len(path.encode("utf-8", "surrogatepass")) <= PATH_BYTES_MAX or path.startswith("/"):
            raise InvalidManifest(f"a path has 1 to {PATH_BYTES_MAX} bytes and does not begin with a slash")
        if not is_id(item):
            raise InvalidManifest(f"not an id: {item[:60]!r}")
    if manifest.index and manifest.index not in manifest.paths:
        raise InvalidManifest("its index is none of its paths")
    if manifest.fallback and not is_id(manifest.fallback):
        raise InvalidManifest("its fallback is not an id")


def _text(entry: object, name: str) -> str:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, str):
        raise InvalidManifest(f"an entry without {name}")
    return value
