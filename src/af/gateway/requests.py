"""A request as the gateway sees it, and its path taken apart. Pure: everything here is hostile input being checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from af.gateway.addresses import Address
from af.gateway.errors import AddressTooLong, InvalidAddress
from af.gateway.tree import SEGMENTS_MAX

TARGET_BYTES_MAX = 8_192
QUERY_FIELDS_MAX = 100
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE = "!$&'()*+,-.:;=@_~"  # RFC 3986 pchar


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` have lower-case names; repeated ones are joined with a comma. ``path`` and ``query`` are as sent.
    ``scheme`` is how the visitor reached us."""

    method: str
    address: Address
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    scheme: str = "http"

    @property
    def query_text(self) -> str:
        return self.query.decode("latin-1")

    @property
    def query_suffix(self) -> str:
        """The query as sent, fit for a Location: the parser lets bytes through that a header must not hold."""
        if not self.query:
            return ""
        return "?" + "".join(c if "!" <= c <= "~" else f"%{ord(c):02X}" for c in self.query_text)

    def parameter(self, name: str) -> str | None:
        """The first query parameter of this name. :raises InvalidAddress: there are more than `QUERY_FIELDS_MAX`."""
        if not self.query or len(self.query) > TARGET_BYTES_MAX:
            return None
        if self.query.count(b"&") >= QUERY_FIELDS_MAX:
            raise InvalidAddress(f"The query has more than {QUERY_FIELDS_MAX} parameters.")
        for key, value in parse_qsl(self.query_text, keep_blank_values=True):
            if key == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class Path:
    """Decoded segments, without empty ones: ``//a`` is ``/a``, so no path can turn into another host's."""

    segments: tuple[bytes, ...]
    ends_with_slash: bool

    @property
    def text(self) -> str:
        """The decoded path, starting with a slash."""
        joined = "/" + b"/".join(self.segments).decode("utf-8")
        return joined + "/" if self.ends_with_slash and self.segments else joined

    @property
    def quoted(self) -> str:
        """The path as it stands in a Location or header: ASCII without control characters."""
        joined = quoted(self.segments)
        return joined + "/" if self.ends_with_slash and self.segments else joined

    def below(self, count: int) -> Path:
        return Path(self.segments[count:], self.ends_with_slash)


def quoted(segments: Sequence[bytes]) -> str:
    return "/" + "/".join(quote(segment, safe=_PATH_SAFE) for segment in segments)


def parse_path(raw: bytes) -> Path:
    """Takes a request path apart: first at the slashes, then each segment is decoded.

    :raises InvalidAddress: bad percent-encoding, not UTF-8 (so no overlong forms), NUL, an encoded slash, ``.`` or
    ``..``.
    :raises AddressTooLong: more than `TARGET_BYTES_MAX` bytes or `SEGMENTS_MAX` segments.
    """
    if len(raw) > TARGET_BYTES_MAX:
        raise AddressTooLong(f"The path is longer than {TARGET_BYTES_MAX} bytes.")
    if not raw.startswith(b"/"):
        raise InvalidAddress("The path does not start with a slash.")
    if b"%" in raw and _BAD_PERCENT.search(raw):
        raise InvalidAddress("The path has a % that is not followed by two hexadecimal digits.")
    segments = tuple(unquote_to_bytes(part) if b"%" in part else part for part in raw.split(b"/") if part)
    if len(segments) > SEGMENTS_MAX:
        raise AddressTooLong(f"The path has more than {SEGMENTS_MAX} segments.")
    for segment in segments:
        if segment in (b".", b"..") or b"/" in segment or b"\0" in segment:
            raise InvalidAddress("The path has a segment that cannot name a file: `.`, `..`, a slash or NUL.")
        try:
            segment.decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidAddress("The path is not UTF-8.") from None
    return Path(segments, raw.endswith(b"/"))


def disposition(kind: str, file_name: str) -> bytes:
    """A Content-Disposition of ``inline`` or ``attachment`` with a name that the visitor chose (RFC 6266): for old
    clients in ASCII, for others as it is."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\/' else "_" for c in file_name)
    written = f'{kind}; filename="{plain}"'
    if plain != file_name:
        written += f"; filename*=UTF-8''{quote(file_name, safe='')}"
    return written.encode("ascii")
