"""``_headers``: parse once at deploy, match at every request.

The format of Netlify (https://docs.netlify.com/manage/routing/headers/) and Cloudflare
(https://developers.cloudflare.com/pages/configuration/headers/)::

    /assets/*
      Cache-Control: public, max-age=31536000, immutable
      ! X-Frame-Options

- A path pattern, then the headers for it (indentation is custom, not syntax). ``*`` (once) stands for any text,
  ``/:name`` for (the start of) a segment; values may use ``:splat`` and ``:name``.
- Every block that matches counts, in file order. Values of one name are joined with ``, ``; for headers that can have
  one value only (`SINGLE`) the last block wins. ``! Name`` drops what earlier blocks and the platform would send.
- Headers that frame the message, that the platform computes from the content, or that would let a site act for its
  neighbours (``Set-Cookie``: sites share a parent domain) are refused, with the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from af.protocols.sitefiles import LineRejected, Rejected, Rejections, lines

BLOCKS_MAX = 1_000
HEADERS_PER_BLOCK_MAX = 100
PLACEHOLDERS_PER_VALUE_MAX = 4
SPLAT = "splat"

SINGLE = frozenset(
    {
        "access-control-allow-credentials",
        "access-control-allow-origin",
        "access-control-max-age",
        "cache-control",
        "content-disposition",
        "content-type",
        "cross-origin-embedder-policy",
        "cross-origin-opener-policy",
        "cross-origin-resource-policy",
        "referrer-policy",
        "strict-transport-security",
        "x-content-type-options",
        "x-frame-options",
    }
)
"""Lower-case names of which a response has one value; a comma-joined pair would be void or contradict itself."""

_FRAMING = "it frames the message, which is the server's part"
_COMPUTED = "the platform computes it from the content"
_REFUSED = {
    **dict.fromkeys(("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"), _FRAMING),
    **dict.fromkeys(
        ("content-length", "host", "proxy-authenticate", "proxy-authorization", "proxy-connection"), _FRAMING
    ),
    **dict.fromkeys(("content-encoding", "content-range", "accept-ranges", "etag", "last-modified", "vary"), _COMPUTED),
    **dict.fromkeys(("age", "date", "server", "x-request-id", "x-ipfs-path", "x-ipfs-roots"), _COMPUTED),
    **dict.fromkeys(("set-cookie", "set-cookie2"), "sites share a parent domain, so cookies could reach other sites"),
    "clear-site-data": "sites share a parent domain, so it could sign people out of the platform",
    "location": "write a rule in _redirects",
    "alt-svc": "it would send visitors of this address to another server",
    "basic-auth": "password protection is not a header here",
    "www-authenticate": "password protection is not a header here",
}
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 token
_VALUE = re.compile(r"[\t\x20-\x7e]+")
_PLACEHOLDER = re.compile(r":([A-Za-z_][A-Za-z0-9_]*)")
_WILD = re.compile(r"\*|(?<=/):([A-Za-z_][A-Za-z0-9_]*)")
_VALUE_SAFE = "!#$&'()*+,-./:=?@_~"


@dataclass(frozen=True, slots=True)
class Rule:
    """One block. ``headers`` are ``(name, value)`` in file order; a value of `None` removes the header."""

    path: str
    headers: tuple[tuple[str, str | None], ...]
    line: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "headers": [list(header) for header in self.headers], "line": self.line}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        return cls(value["path"], tuple((name, text) for name, text in value["headers"]), value["line"])


@dataclass(frozen=True, slots=True)
class ParsedHeaders:
    rules: tuple[Rule, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a site's rules do to one response: ``headers`` replace the platform's own of the same name, and the
    platform must not send those in ``removed`` (lower case)."""

    headers: tuple[tuple[str, str], ...] = ()
    removed: frozenset[str] = frozenset()


UNCHANGED = Changes()


def to_json(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [rule.to_json() for rule in rules]


def from_json(values: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    return tuple(Rule.from_json(value) for value in values)


# --- parsing -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Block:
    path: str
    line: int
    names: frozenset[str]
    headers: list[tuple[str, str | None]]
    refused: bool = False


def parse(content: str | bytes) -> ParsedHeaders:
    """The blocks of a ``_headers`` file in file order, and every line without effect. Never raises."""
    rejections = Rejections()
    blocks: list[_Block] = []
    for number, text in lines(content, rejections):
        try:
            if text.startswith(("/", "http://", "https://")):
                block = _Block(text, number, frozenset(), [], refused=True)
                blocks.append(block)
                block.names = _check_path(text)
                if len(blocks) > BLOCKS_MAX:
                    raise LineRejected(f"a site may have at most {BLOCKS_MAX} blocks")
                block.refused = False
            elif not blocks:
                raise LineRejected("a header needs a path on a line above it")
            elif blocks[-1].refused:
                raise LineRejected(f"its path, on line {blocks[-1].line}, was rejected")
            else:
                _add_header(blocks[-1], text)
        except LineRejected as reason:
            rejections.add(number, text, str(reason))
    for block in blocks:
        if not block.headers and not block.refused:
            rejections.add(block.line, block.path, "the path has no headers")
    rules = tuple(Rule(block.path, tuple(block.headers), block.line) for block in blocks if block.headers)
    return ParsedHeaders(rules, rejections.all())


def _check_path(path: str) -> frozenset[str]:
    """The names that header values may use under ``path``."""
    if not path.startswith("/"):
        raise LineRejected("the path must be one of this site, not a URL: headers cannot be bound to a host")
    if " " in path or "\t" in path:
        raise LineRejected("the path contains a space (write %20)")
    if "?" in path or "#" in path:
        raise LineRejected("the path cannot contain ? or #")
    if path.count("*") > 1:
        raise LineRejected("* may stand only once in a path")
    if any("*" in segment and segment.startswith(":") for segment in path.split("/")):
        raise LineRejected("* and a placeholder cannot share a segment")  # two wildcards side by side backtrack
    names = [match[1] or SPLAT for match in _WILD.finditer(path)]
    if len(names) != len(set(names)):
        raise LineRejected("a placeholder is used twice")
    return frozenset(names)


def _add_header(block: _Block, text: str) -> None:
    if len(block.headers) >= HEADERS_PER_BLOCK_MAX:
        raise LineRejected(f"a path may have at most {HEADERS_PER_BLOCK_MAX} headers")
    if text.startswith("!"):
        name = text[1:].strip()
        _check_name(name)
        block.headers.append((name, None))
        return
    name, colon, value = text.partition(":")
    name, value = name.rstrip(), value.strip()
    if not colon:
        raise LineRejected("a header is written Name: value (and a path starts with /)")
    _check_name(name)
    if not value:
        raise LineRejected("the header has no value (write `! Name` to remove one)")
    if not _VALUE.fullmatch(value):
        raise LineRejected("header values are ASCII text")
    used = [match[1] for match in _PLACEHOLDER.finditer(value) if match[1] in block.names]
    if len(used) > PLACEHOLDERS_PER_VALUE_MAX:
        raise LineRejected(f"a value may use at most {PLACEHOLDERS_PER_VALUE_MAX} placeholders")
    block.headers.append((name, value))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise LineRejected(f"{name!r} is not a header name" if name else "the header has no name")
    if why := _REFUSED.get(name.lower()):
        raise LineRejected(f"{name} cannot be set: {why}")


# --- matching ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A block whose path has wildcards: ``prefix*suffix``, or an ``expression`` when it has names."""

    order: int
    rule: Rule
    prefix: str
    suffix: str
    expression: re.Pattern[str] | None

    def captures(self, path: str) -> dict[str, str] | None:
        if self.expression is not None:
            found = self.expression.fullmatch(path)
            return found.groupdict() if found else None
        if len(path) < len(self.prefix) + len(self.suffix):
            return None
        if not path.startswith(self.prefix) or not path.endswith(self.suffix):
            return None
        return {SPLAT: path[len(self.prefix) : len(path) - len(self.suffix)]}


class Matcher:
    """The blocks of one deployment: paths without wildcards by path, the others in a list. Immutable, no I/O."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._exact: dict[str, list[tuple[int, Rule]]] = {}
        self._patterns: list[_Pattern] = []
        for order, rule in enumerate(self.rules):
            if _WILD.search(rule.path):
                self._patterns.append(_compile(order, rule))
            else:
                self._exact.setdefault(unquote(rule.path), []).append((order, rule))

    def headers_for(self, path: str) -> tuple[tuple[str, str], ...]:
        """The headers that the site wants on the response for ``path`` (percent-decoded, starting with ``/``)."""
        return self.changes_for(path).headers

    def changes_for(self, path: str) -> Changes:
        """Like `headers_for`, with the platform's own headers that the site does not want."""
        found = [(order, rule, _NOTHING) for order, rule in self._exact.get(path, ())]
        for pattern in self._patterns:
            captures = pattern.captures(path)
            if captures is not None:
                found.append((pattern.order, pattern.rule, captures))
        if not found:
            return UNCHANGED
        found.sort(key=lambda match: match[0])
        return _combine([(rule, captures) for _, rule, captures in found])


_NOTHING: dict[str, str] = {}


def _compile(order: int, rule: Rule) -> _Pattern:
    if all(wild[1] is None for wild in _WILD.finditer(rule.path)):
        prefix, _, suffix = rule.path.partition("*")
        return _Pattern(order, rule, unquote(prefix), unquote(suffix), None)
    expression = ""
    position = 0
    for wild in _WILD.finditer(rule.path):
        expression += re.escape(unquote(rule.path[position : wild.start()]))
        expression += f"(?P<{wild[1]}>[^/]+)" if wild[1] else f"(?P<{SPLAT}>.*)"
        position = wild.end()
    expression += re.escape(unquote(rule.path[position:]))
    return _Pattern(order, rule, "", "", re.compile(expression, re.DOTALL))


def _combine(matches: Sequence[tuple[Rule, dict[str, str]]]) -> Changes:
    combined: dict[str, tuple[str, str]] = {}
    removed: set[str] = set()
    for rule, captures in matches:
        inherited = dict(combined)
        for name, value in rule.headers:
            key = name.lower()
            if value is None:
                combined.pop(key, None)
                inherited.pop(key, None)
                removed.add(key)
                continue
            shown = _fill(value, captures)
            earlier = combined.get(key)
            if earlier is None or (key in SINGLE and key in inherited):
                combined[key] = (name, shown)
                inherited.pop(key, None)
            elif key not in SINGLE or key == "cache-control":
                combined[key] = (earlier[0], f"{earlier[1]}, {shown}")
            else:
                combined[key] = (name, shown)
    return Changes(tuple(combined.values()), frozenset(removed - combined.keys()))


def _fill(value: str, captures: dict[str, str]) -> str:
    if not captures or ":" not in value:
        return value
    return _PLACEHOLDER.sub(
        lambda match: (
            quote(captures[match[1]], safe=_VALUE_SAFE, errors="replace") if match[1] in captures else match[0]
        ),
        value,
    )
