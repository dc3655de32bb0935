"""Reading a ``_redirects`` file: rules, and a reason for every line that is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_plus

from af.protocols.redirects.model import ABSOLUTE, PLACEHOLDER, REDIRECTS, REWRITES, SPLAT, ParsedRedirects, Rule
from af.protocols.sitefiles import LineRejected, Rejections, lines

EXACT_RULES_MAX = 2_000
PATTERN_RULES_MAX = 1_000
QUERY_CONDITIONS_MAX = 10

_STATUS = re.compile(r"(\d{1,9})(!?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONDITION = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


def parse(content: str | bytes) -> ParsedRedirects:
    """The rules of a ``_redirects`` file in file order, and every line that is not one. Never raises."""
    rejections = Rejections()
    rules: list[Rule] = []
    patterns = 0
    for number, text in lines(content, rejections):
        try:
            rule = _parse_line(number, text)
            is_pattern = _is_pattern(rule.source)
            if is_pattern and patterns >= PATTERN_RULES_MAX:
                raise LineRejected(f"a site may have at most {PATTERN_RULES_MAX} rules with :name or *")
            if not is_pattern and len(rules) - patterns >= EXACT_RULES_MAX:
                raise LineRejected(f"a site may have at most {EXACT_RULES_MAX} rules without :name or *")
        except LineRejected as reason:
            rejections.add(number, text, str(reason))
            continue
        patterns += is_pattern
        rules.append(rule)
    return ParsedRedirects(tuple(rules), rejections.all())


def _parse_line(number: int, text: str) -> Rule:
    words = text.split()
    for index, word in enumerate(words):
        if word.startswith("#"):
            words = words[:index]
            break
    source, rest = words[0], words[1:]
    names = _check_source(source)

    query: list[tuple[str, str]] = []
    while rest and not _looks_like_target(rest[0]) and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        query.append((unquote_plus(name), value if value.startswith(":") else unquote_plus(value)))
        names = _check_query(query, names)
    if not rest or _STATUS.fullmatch(rest[0]):
        raise LineRejected("there is no target: write `from to [status]`")

    to, options = rest[0], rest[1:]
    status, forced = 301, False
    if options and (given := _STATUS.fullmatch(options[0])):
        status, forced = int(given[1]), bool(given[2])
        options = options[1:]
    if options:
        raise LineRejected(_why_not(options[0]))
    if status not in REDIRECTS | REWRITES:
        supported = " ".join(map(str, sorted(REDIRECTS | REWRITES)))
        raise LineRejected(f"status {status} is not supported (supported: {supported})")
    _check_target(to, status, names)
    return Rule(source, to, status, forced, tuple(query), number)


def _check_source(source: str) -> set[str]:
    """The names that ``source`` captures."""
    if not source.startswith("/"):
        if "://" in source:
            raise LineRejected("`from` must be a path of this site, not a URL: rules cannot be bound to a host")
        raise LineRejected("`from` must start with /")
    if "?" in source:
        raise LineRejected("`from` cannot contain ?: write query parameters after it, as `name=value`")
    if "#" in source:
        raise LineRejected("`from` cannot contain #: browsers never send the fragment")
    if "*" in source[:-1]:
        raise LineRejected("* may stand only once, at the end of `from`")
    names: set[str] = set()
    for segment in source.split("/"):
        if not segment.startswith(":"):
            continue
        name = segment[1:].removesuffix("*")
        if segment.endswith("*") or not _NAME.fullmatch(name):
            raise LineRejected(f"{segment} is not a placeholder: write :name, of letters, digits and _")
        if name in names:
            raise LineRejected(f":{name} is captured twice")
        names.add(name)
    if source.endswith("*"):
        if SPLAT in names:
            raise LineRejected(":splat is captured twice: it is the name of *")
        names.add(SPLAT)
    return names


def _check_query(query: Sequence[tuple[str, str]], names: set[str]) -> set[str]:
    """``names`` and what the last query condition captures."""
    name, value = query[-1]
    if not name or not value:
        raise LineRejected("a query condition is written name=value or name=:capture")
    if len(query) > QUERY_CONDITIONS_MAX:
        raise LineRejected(f"a rule may ask for at most {QUERY_CONDITIONS_MAX} query parameters")
    if any(earlier == name for earlier, _ in query[:-1]):
        raise LineRejected(f"the query parameter {name} is asked for twice")
    if not value.startswith(":"):
        return names
    if not _NAME.fullmatch(value[1:]):
        raise LineRejected(f"{value} is not a placeholder: write :name, of letters, digits and _")
    if value[1:] in names:
        raise LineRejected(f"{value} is captured twice")
    return names | {value[1:]}


def _check_target(to: str, status: int, names: set[str]) -> None:
    absolute = ABSOLUTE.fullmatch(to)
    if absolute is None and "://" in to.partition("?")[0] and not to.startswith("/"):
        raise LineRejected("the target's scheme must be http, https, ipfs or ipns")
    if absolute is None and (not to.startswith("/") or to.startswith(("//", "/\\"))):
        raise LineRejected("the target must be a path that starts with one /, or a URL that starts with https://")
    if absolute is not None:
        if status == 200:
            raise LineRejected("serving another origin's content in place (status 200 with a URL) is not supported")
        if status in REWRITES:
            raise LineRejected(f"the target of a {status} rule must be a file of this site")
        if PLACEHOLDER.search(absolute[2]):
            raise LineRejected("the host of the target cannot contain placeholders")
        if not _AUTHORITY.fullmatch(absolute[2]):
            raise LineRejected("the target's host is malformed (write other scripts as punycode, without user names)")
    if status in REWRITES and ("?" in to or "#" in to):
        raise LineRejected(f"the target of a {status} rule is a file: it cannot contain ? or # (write %3F, %23)")
    path = (absolute[3] if absolute else to).partition("?")[0].partition("#")[0]
    for segment in path.split("/"):
        whole = PLACEHOLDER.fullmatch(segment)
        if whole and whole[1] not in names:
            raise LineRejected(f"{segment} in the target is not captured by `from`")


def _looks_like_target(word: str) -> bool:
    return word.startswith("/") or ABSOLUTE.match(word) is not None


def _why_not(option: str) -> str:
    condition = _CONDITION.match(option)
    if condition:
        return f"conditions on the visitor ({condition[1]}) are not supported: content must not depend on who asks"
    if _STATUS.fullmatch(option):
        return f"a rule has one status; {option} is one too many"
    return f"{option!r} is not a status such as 301 or 200!"


def _is_pattern(source: str) -> bool:
    return source.endswith("*") or "/:" in source
