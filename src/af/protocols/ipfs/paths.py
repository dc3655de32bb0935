"""Which names and paths we accept into a UnixFS tree; the client checks before it uploads, the server again.

Names are bytes and stay byte-exact: no Unicode normalisation (`é` composed and decomposed are two files, as on Linux
and in Kubo). What is refused could not be served, or would mean something else when written to a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from af.protocols.ipfs.errors import InvalidName

MAX_NAME_BYTES = 255  # what every common file system allows
MAX_PATH_SEGMENTS = 256
MAX_PATH_BYTES = 4096

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]")  # C0, DEL, and C1 as UTF-8 writes it


def check_name(name: bytes) -> None:
    """Raises InvalidName unless `name` may name a file or directory."""
    if not name:
        raise InvalidName("a name is empty")
    if len(name) > MAX_NAME_BYTES:
        raise InvalidName(f"a name is {len(name)} bytes long, {MAX_NAME_BYTES} allowed: {shown(name[:40])}…")
    if name in (b".", b".."):
        raise InvalidName(f"{name.decode()!r} is not a name")
    if b"/" in name:
        raise InvalidName(f"a name contains '/': {shown(name)}")
    if not name.isascii():
        try:
            name.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidName(f"a name is not UTF-8: {shown(name)}") from None
    if _CONTROL.search(name):
        raise InvalidName(f"a name contains a control character: {shown(name)}")


def split(path: str) -> list[bytes]:
    """The segments of a relative path, unchecked but for their number and length. Undecodable file-system bytes in
    `path` (surrogate escapes, see PEP 383) come back as they were."""
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidName(f"a path contains a lone surrogate: {path!r}") from None
    if len(encoded) > MAX_PATH_BYTES:
        raise InvalidName(f"a path is {len(encoded):,} bytes long, {MAX_PATH_BYTES:,} allowed: {shown(encoded[:40])}…")
    segments = encoded.split(b"/")
    if len(segments) > MAX_PATH_SEGMENTS:
        raise InvalidName(f"a path is {len(segments)} levels deep, {MAX_PATH_SEGMENTS} allowed")
    return segments


def case_clashes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names (or paths) that differ only by case: one file each here, the same file on macOS and Windows."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.casefold(), []).append(name)
    return [tuple(sorted(group)) for group in groups.values() if len(set(group)) > 1]


def shown(name: bytes) -> str:
    """A name fit for a message: quoted, with control characters escaped."""
    return repr(name.decode("utf-8", "backslashreplace"))
