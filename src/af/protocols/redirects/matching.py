"""Which rule applies to a request, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, unquote_plus

from af.protocols.redirects.model import ABSOLUTE, PLACEHOLDER, REDIRECTS, SPLAT, Rule

_URL_SAFE = "!#$%&'()*+,-./:;=?@[]_~"  # what may stand in a URL as it is; "%" because authors write %20 themselves
_SEGMENT_SAFE = "!$&'()*+,-.:;=@_~"  # RFC 3986 pchar
_QUERY_PAIRS_MAX = 100


@dataclass(frozen=True, slots=True)
class Match:
    """What to answer. For a redirect (`REDIRECTS`) ``to`` is a complete ``Location`` value, percent-encoded ASCII;
    for a rewrite (`REWRITES`) it is the decoded path of the file to serve. ``line`` names the rule."""

    status: int
    to: str
    forced: bool
    line: int

    @property
    def is_redirect(self) -> bool:
        return self.status in REDIRECTS


Captures = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A rule ready to match: ``segments`` are literal texts or, for placeholders, `None` with a name in ``names``.
    ``prefix`` is `None` without ``*``, else what the segment of the ``*`` must start with."""

    order: int
    rule: Rule
    segments: tuple[str | None, ...]
    names: tuple[str | None, ...]
    prefix: str | None
    target: _Target

    def captures(self, segments: Sequence[str], ends_with_slash: bool) -> Captures | None:
        fixed = len(self.segments)
        if len(segments) != fixed and (self.prefix is None or len(segments) < fixed):
            return None
        found: Captures = {}
        for wanted, name, segment in zip(self.segments, self.names, segments, strict=False):
            if name is not None:
                if not segment:
                    return None
                found[name] = segment
            elif wanted != segment:
                return None
        if self.prefix is None:
            return found
        rest = segments[fixed:]
        if self.prefix:
            if not rest or not rest[0].startswith(self.prefix):
                return None
            rest = [rest[0][len(self.prefix) :], *rest[1:]]
        found[SPLAT] = "/".join(rest) + ("/" if rest and ends_with_slash else "")
        return found


@dataclass(frozen=True, slots=True)
class _Target:
    """``to``, cut once: in each part fixed texts and placeholder names alternate."""

    is_redirect: bool
    is_local: bool
    path: tuple[str, ...]
    query: tuple[str, ...]
    fragment: tuple[str, ...]


@dataclass(slots=True)
class _Buckets:
    exact: dict[str, list[_Pattern]] = field(default_factory=dict)
    by_first_segment: dict[str, list[_Pattern]] = field(default_factory=dict)
    general: list[_Pattern] = field(default_factory=list)


class Matcher:
    """The rules of one deployment, arranged so that a request looks at few of them: rules without placeholders by
    path, the others by their first segment when that is literal. Immutable and free of I/O."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._buckets = _Buckets()
        self.rules = tuple(rules)
        self.has_forced = any(rule.forced for rule in self.rules)
        """Whether a path that exists needs to be matched at all."""
        for order, rule in enumerate(self.rules):
            self._place(_compile(order, rule))

    def _place(self, pattern: _Pattern) -> None:
        segments = pattern.segments
        if pattern.prefix is None and None not in segments:
            path = "/".join(segment or "" for segment in segments)
            self._buckets.exact.setdefault(path, []).append(pattern)
        elif segments and segments[0] is not None:
            self._buckets.by_first_segment.setdefault(segments[0], []).append(pattern)
        else:
            self._buckets.general.append(pattern)

    def match(self, path: str, query: str = "", *, exists: bool | Callable[[], bool] = False) -> Match | None:
        """The first rule that applies, or `None`.

        :param path: percent-decoded, starting with ``/``.
        :param query: as sent, without ``?``.
        :param exists: whether the site has a file at ``path`` (or how to find out, asked at most once): then only
            forced rules apply.
        """
        trimmed = path.removesuffix("/").removeprefix("/")
        segments = trimmed.split("/") if path not in ("/", "") else []
        candidates = self._buckets.exact.get(trimmed, [])
        if segments and (bucket := self._buckets.by_first_segment.get(segments[0])):
            candidates = _merged(candidates, bucket)
        if self._buckets.general:
            candidates = _merged(candidates, self._buckets.general)
        ends_with_slash = path.endswith("/") and bool(segments)
        for pattern in candidates:
            captures = pattern.captures(segments, ends_with_slash)
            if captures is None or not _query_captures(pattern.rule, query, captures):
                continue
            if not pattern.rule.forced:
                exists = exists() if callable(exists) else exists
                if exists:
                    continue
            if (to := _expand(pattern, path, query, captures)) is not None:
                return Match(pattern.rule.status, to, pattern.rule.forced, pattern.rule.line)
        return None


def _merged(left: list[_Pattern], right: list[_Pattern]) -> list[_Pattern]:
    return sorted(left + right, key=_order) if left else right


def _order(pattern: _Pattern) -> int:
    return pattern.order


def _compile(order: int, rule: Rule) -> _Pattern:
    trimmed = rule.source.removesuffix("/").removeprefix("/")
    parts = trimmed.split("/") if rule.source != "/" else []
    prefix = None
    if rule.source.endswith("*"):
        prefix = unquote(parts.pop()[:-1])
    names = tuple(part[1:] if part.startswith(":") else None for part in parts)
    segments = tuple(None if name else unquote(part) for part, name in zip(parts, names, strict=True))
    return _Pattern(order, rule, segments, names, prefix, _cut_target(rule, names))


def _cut_target(rule: Rule, names: Sequence[str | None]) -> _Target:
    known = {name for name in names if name} | {value[1:] for _, value in rule.query if value.startswith(":")}
    if rule.source.endswith("*"):
        known.add(SPLAT)
    absolute = ABSOLUTE.fullmatch(rule.to)
    origin = f"{absolute[1].lower()}://{absolute[2]}" if absolute else ""
    rest, _, fragment = (absolute[3] if absolute else rule.to).partition("#")
    path, _, query = rest.partition("?")
    return _Target(
        is_redirect=rule.status in REDIRECTS,
        is_local=absolute is None,
        path=_cut(origin, path, known),
        query=_cut("", query, known),
        fragment=_cut("", fragment, known),
    )


def _cut(start: str, text: str, known: set[str]) -> tuple[str, ...]:
    """``start + text`` as fixed text, name, fixed text, name, …, fixed text."""
    pieces: list[str] = []
    fixed = start
    position = 0
    for placeholder in PLACEHOLDER.finditer(text):
        if placeholder[1] not in known:
            continue
        pieces += [fixed + text[position : placeholder.start()], placeholder[1]]
        fixed = ""
        position = placeholder.end()
    return (*pieces, fixed + text[position:])


def _query_captures(rule: Rule, query: str, captures: Captures) -> bool:
    """Whether the query has what ``rule`` asks for; adds what it captures."""
    if not rule.query:
        return True
    given: dict[str, str] = {}
    for name, value in _query_pairs(query):
        given.setdefault(name, value)
    for name, wanted in rule.query:
        value = given.get(name, "")
        if wanted.startswith(":") and value:
            captures[wanted[1:]] = value
        elif value != wanted:
            return False
    return True


def _query_pairs(query: str) -> list[tuple[str, str]]:
    if query.count("&") >= _QUERY_PAIRS_MAX:
        query = "&".join(query.split("&", _QUERY_PAIRS_MAX)[:_QUERY_PAIRS_MAX])
    return parse_qsl(query, keep_blank_values=True, errors="replace")


def _expand(pattern: _Pattern, path: str, query: str, captures: Captures) -> str | None:
    """``to`` with its placeholders filled; `None` when the rule must not apply to this request after all."""
    target = pattern.target
    if not target.is_redirect:
        file = _one_leading_slash(_fill(target.path, captures, unquote, str))
        return None if any(segment in (".", "..") for segment in file.split("/")) else file
    location = _fill(target.path, captures, _quote_url, _quote_segments)
    if target.is_local:
        location = _one_leading_slash(location)
    own_query = _fill(target.query, captures, _quote_url, _quote_component)
    if target.is_local and _leads_back(pattern.rule, path, location, own_query):
        return None
    carried = _carried_query(pattern.rule, query, own_query)
    fragment = _fill(target.fragment, captures, _quote_url, _quote_component)
    joined = "&".join(part for part in (own_query, carried) if part)
    return location + (f"?{joined}" if joined else "") + (f"#{fragment}" if fragment else "")


def _leads_back(rule: Rule, path: str, location: str, own_query: str) -> bool:
    """Whether the rule would match again at its own target: a redirect to there would loop for ever.

    A trailing slash alone makes no difference, as on Netlify; a query condition that the target no longer meets does.
    """
    if unquote(location).rstrip("/") != path.rstrip("/"):
        return False
    kept = {name for name, _ in _query_pairs(own_query)}
    return all(name in kept for name, _ in rule.query)


def _one_leading_slash(path: str) -> str:
    """``//host`` and ``/\\host`` would lead to another origin: browsers read both as one."""
    return "/" + path.lstrip("/\\")


def _fill(pieces: Sequence[str], captures: Captures, fixed: Callable[[str], str], value: Callable[[str], str]) -> str:
    if len(pieces) == 1:
        return fixed(pieces[0])
    return "".join(value(captures.get(piece, "")) if index % 2 else fixed(piece) for index, piece in enumerate(pieces))


def _quote_url(text: str) -> str:
    return quote(text, safe=_URL_SAFE)


def _quote_segments(value: str) -> str:
    return quote(value, safe=_SEGMENT_SAFE + "/", errors="replace")


def _quote_component(value: str) -> str:
    return quote(value, safe="", errors="replace")


def _carried_query(rule: Rule, query: str, own_query: str) -> str:
    """The request's parameters that the rule neither asked for nor sets itself, as they were sent."""
    if not query:
        return ""
    used = {name for name, _ in rule.query} | {name for name, _ in _query_pairs(own_query)}
    pairs = query.split("&", _QUERY_PAIRS_MAX)[:_QUERY_PAIRS_MAX]
    kept = [pair for pair in pairs if pair and unquote_plus(pair.partition("=")[0]) not in used]
    return quote("&".join(kept), safe=_URL_SAFE.replace("#", ""), errors="replace")
