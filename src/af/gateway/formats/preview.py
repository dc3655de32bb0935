"""A block of data as a page: one row for each value in it, links to follow, and the forms it can be fetched in.

Flat rather than nested, and bounded in rows and characters: what a hostile block makes of it is a long table at worst.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from af.gateway.pages import page
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagjson
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.datamodel import Link, Value
from af.protocols.ipfs.errors import IpfsError

VERSION = b"1"
"""Part of the ETag: raise it when the page's look changes."""
BLOCK_BYTES_MAX = 256 << 10
ROWS_MAX = 2_000
_PATH_CHARACTERS_MAX = 160
_TEXT_CHARACTERS_MAX = 1_000
_BYTES_SHOWN_MAX = 64


def render(cid: CID, name: str, block: bytes, gateway: str | None) -> bytes:
    """The page of a block in the form ``name`` (dag-json or dag-cbor). ``gateway`` is what goes before ``/ipfs/…`` in a
    link, `None` where this host has no such paths."""
    text = cids.to_text(cid)
    content = (
        f'<h1 class="code">{text}</h1>'
        f'<p class="soft">{name} · 0x{cids.codec(cid):x} · {len(block):,} bytes</p>'
        f'<p>Fetch it: <a href="?format=raw" rel="nofollow">raw block</a> · '
        f'<a href="?format={name}" rel="nofollow">{name}</a></p>'
        f"{_table(cids.codec(cid), block, gateway)}"
    )
    return page(f"{name} {text}", content)


def _table(codec: int, block: bytes, gateway: str | None) -> str:
    if len(block) > BLOCK_BYTES_MAX:
        return f'<p class="soft">Blocks of more than {BLOCK_BYTES_MAX >> 10} KiB are not shown as a page.</p>'
    try:
        value = dagjson.decode_block(codec, block)
    except IpfsError as error:
        return f'<p class="soft">It cannot be shown: {escape(str(error)[:200])}</p>'
    lines: list[str] = []
    for path, item in _leaves(value):
        if len(lines) == ROWS_MAX:
            lines.append(f'<tr><td colspan="3" class="soft">Only the first {ROWS_MAX:,} values are shown.</td></tr>')
            break
        kind, shown = _shown(item, gateway)
        lines.append(
            f'<tr><td class="name">{escape(path)}</td><td class="soft">{kind}</td><td class="name">{shown}</td></tr>'
        )
    head = "<thead><tr><th>Path</th><th>Kind</th><th>Value</th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"


def _leaves(value: Value) -> Iterator[tuple[str, Value]]:
    """Each value that has none below it, and empty lists and maps, in the block's order, with its path."""
    levels: list[Iterator[tuple[str, Value]]] = [iter((("/", value),))]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            continue
        path, item = found
        if isinstance(item, (list, dict)) and item:
            levels.append(_children(path, item))
        else:
            yield path, item


def _children(path: str, value: list[Value] | dict[str, Value]) -> Iterator[tuple[str, Value]]:
    base = path.removesuffix("/")
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        whole = f"{base}/{_printable(str(key)[:_PATH_CHARACTERS_MAX])}"
        yield whole if len(whole) <= _PATH_CHARACTERS_MAX else f"…{whole[-_PATH_CHARACTERS_MAX:]}", child


def _shown(item: Value, gateway: str | None) -> tuple[str, str]:
    """The kind of a value, and the value as HTML."""
    match item:
        case None:
            return "null", ""
        case bool():
            return "boolean", "true" if item else "false"
        case int():
            return "integer", str(item)
        case float():
            return "float", dagjson.encode(item).decode()
        case str():
            cut = "…" if len(item) > _TEXT_CHARACTERS_MAX else ""
            return "string", escape(_printable(item[:_TEXT_CHARACTERS_MAX])) + cut
        case bytes():
            cut = "…" if len(item) > _BYTES_SHOWN_MAX else ""
            return f"bytes ({len(item):,})", f'<span class="code">{item[:_BYTES_SHOWN_MAX].hex()}{cut}</span>'
        case Link():
            text = cids.to_text(item.cid)
            there = f"https://cid.ipfs.tech/#{text}" if gateway is None else f"{gateway}/ipfs/{text}"
            return "link", f'<a class="code" rel="noreferrer noopener" href="{escape(there)}">{text}</a>'
        case list():
            return "list", "empty"
        case _:
            return "map", "empty"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
