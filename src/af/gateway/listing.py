"""Directory listings: escaped, sorted by name where the whole directory is at hand, a bounded number of rows per
page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from af.gateway.pages import page
from af.gateway.represent import Origin
from af.gateway.tree import SHARDS_MAX, Directory, ShardedDirectory, Tree
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import dagpb, hamt
from af.protocols.ipfs.dagpb import Link
from af.protocols.ipfs.errors import InvalidBlock, LimitExceeded

ROWS_PER_PAGE = 1_000
PAGES_MAX = 200
VERSION = b"3"
"""Part of the ETag: raise it when the page's look changes."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of a directory; ``total`` is `None` for sharded directories, which are not read to the end."""

    links: tuple[Link, ...]
    number: int
    more: bool
    total: int | None


async def rows(tree: Tree, node: Directory | ShardedDirectory, number: int, *, public: bool) -> Rows:
    """The entries of page ``number`` (from 1)."""
    first = (number - 1) * ROWS_PER_PAGE
    if isinstance(node, Directory):
        links = sorted(dagpb.decode_node(await tree.block(node.cid, public=public)).links, key=lambda link: link.name)
        shown = tuple(links[first : first + ROWS_PER_PAGE])
        return Rows(shown, number, first + ROWS_PER_PAGE < len(links), len(links))
    found: list[Link] = []
    position = 0
    async for link in _entries(tree, node.shard, public):
        if position >= first:
            if len(found) == ROWS_PER_PAGE:
                return Rows(tuple(found), number, True, None)
            found.append(link)
        position += 1
    return Rows(tuple(found), number, False, None)


async def _entries(tree: Tree, root: hamt.Shard, public: bool) -> AsyncIterator[Link]:
    """All entries of a sharded directory in slot order; as deep as a name's hash has bits."""
    stack = [(root, 0, 0)]
    shards = 1
    while stack:
        shard, index, depth = stack.pop()
        while index < len(shard.links):
            link = shard.links[index]
            index += 1
            if not shard.is_child(link):
                yield Link(link.cid, shard.entry_name(link), link.tsize)
                continue
            below = await tree.node(link.cid, public=public)
            if not isinstance(below, ShardedDirectory) or depth > hamt.HASH_BITS:
                raise InvalidBlock("HAMT: a shard's child is not a shard")
            shards += 1
            if shards > SHARDS_MAX:
                raise LimitExceeded(f"HAMT: more than {SHARDS_MAX} shards")
            stack += [(shard, index, depth), (below.shard, 0, depth + 1)]
            break


def render(origin: Origin, segments: Sequence[bytes], cid: cids.CID, found: Rows) -> bytes:
    """The page of the directory at ``segments`` below the origin's root."""
    here = origin.prefix + "".join(f"/{quote(segment, safe='')}" for segment in segments)
    lines = []
    if segments:
        lines.append(f'<tr><td class="name"><a href="{here}/..">..</a></td><td class="cid"></td><td></td></tr>')
    for link in found.links:
        name = quote(link.name, safe="")
        lines.append(
            f'<tr><td class="name"><a href="{here}/{name}">{escape(_shown(link.name))}</a></td>'
            f'<td class="cid code">{_cid_link(origin, link.cid, name)}{_short(link.cid)}</a></td>'
            f'<td class="size">{_size(link.tsize)}</td></tr>'
        )
    title = "/" + "/".join(_shown(segment) for segment in segments)
    count = "" if found.total is None else f"{found.total:,} {'entry' if found.total == 1 else 'entries'} · "
    content = (
        f"<h1>{_crumbs(origin, segments)}</h1>"
        f'<p class="soft">{count}<span class="code">{cids.to_text(cid)}</span></p>'
        '<table><thead><tr><th>Name</th><th class="cid">CID</th><th class="size">Size</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>{_pager(found)}"
    )
    return page(f"Index of {title}", content)


def _crumbs(origin: Origin, segments: Sequence[bytes]) -> str:
    """The content path, each part a link: on the path gateway where there is one, else on this host."""
    space, _, name = origin.at[1:].partition("/")
    if origin.gateway is None:
        space, name, at = "ipns", origin.host, f"//{origin.host}"
        crumbs = [f'<a href="{escape(at)}/">{escape(name)}</a>']
    else:
        at = f"{origin.gateway}{origin.at}"
        crumbs = [f'<a href="{escape(at)}">{escape(name)}</a>']
    for segment in segments:
        at += "/" + quote(segment, safe="")
        crumbs.append(f'<a href="{escape(at)}">{escape(_shown(segment))}</a>')
    return (f"/{space}/" if origin.public else "") + "/".join(crumbs)


def _cid_link(origin: Origin, cid: cids.CID, name: str) -> str:
    """The start of a link to the entry by its CID. ``name`` is percent-encoded."""
    text = cids.to_text(cid)
    if origin.gateway is None:
        there = f"https://cid.ipfs.tech/#{text}"
        return f'<a class="ipfs-hash" translate="no" href="{there}" target="_blank" rel="noreferrer noopener">'
    there = f"{origin.gateway}/ipfs/{text}?filename={quote(name, safe='')}"
    return f'<a class="ipfs-hash" translate="no" href="{escape(there)}">'


def _pager(found: Rows) -> str:
    links = []
    if found.number > 1:
        links.append(f'<a href="?page={found.number - 1}" rel="prev">Previous</a>')
    if found.more and found.number < PAGES_MAX:
        links.append(f'<a href="?page={found.number + 1}" rel="next">Next</a>')
    return f"<nav>{''.join(links)}</nav>" if links else ""


def page_number(text: str | None) -> int:
    """The page asked for; what is not a number from 1 to `PAGES_MAX` is the first."""
    return (
        int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= PAGES_MAX else 1
    )


def _shown(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _short(cid: cids.CID) -> str:
    text = cids.to_text(cid)
    return text if len(text) <= 16 else f"{text[:6]}…{text[-6:]}"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
