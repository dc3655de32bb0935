"""Files and folders by CID: `Client.files`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import IpfsError
from af.protocols.ipfs.unixfs import PROFILES
from alternatefutures import deploy, operations, unpack
from alternatefutures.deploy import Report, Uploaded
from alternatefutures.errors import ContentWrong, UsageError
from alternatefutures.folder import plan
from alternatefutures.models import Pin, build
from alternatefutures.transport import Transport, segment
from alternatefutures.unpack import Blocks, Count, Written, not_writable

_PAGES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Something in a folder, or the thing that was asked for (then its name is empty). ``kind``: ``file``, ``folder``,
    ``symlink``, ``data``, ``missing`` or ``damaged``; ``size`` in bytes, of folders what all blocks below take."""

    name: str
    cid: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Exported:
    """A CAR that was written: its blocks, all checked, and its own size in bytes."""

    blocks: int
    bytes: int


class Files:
    """Content of a project by CID. What is fetched is checked against its CID here; nothing else is believed."""

    def __init__(self, transport: Transport, project: Callable[[], str]) -> None:
        self._transport = transport
        self._project = project

    def look(self, cid: str, path: str = "") -> FileEntry:
        """What is at ``path`` below ``cid``. :raises ApiError: nothing that the project can see"""
        return _entry(self._page(_content(self._project(), cid), path, first=1, after=""))

    def list(self, cid: str, path: str = "") -> Iterator[FileEntry]:
        """What the folder at ``path`` holds, by name; of anything else the thing itself, by the name it has there."""
        base = _content(self._project(), cid)
        after = ""
        for _ in range(_PAGES_MAX):
            page = self._page(base, path, first=1000, after=after)
            if page["kind"] != "folder":
                yield _entry(page | {"name": path.rstrip("/").rpartition("/")[2] or page["cid"]})
                return
            yield from map(_entry, page["entries"])
            if page["after"] is None:
                return
            after = page["after"]

    def upload(
        self,
        path: str | Path,
        *,
        profile: str = "unixfs-v1-2025",
        hidden: bool = False,
        wrap: bool = False,
        report: Report | None = None,
    ) -> tuple[str, Uploaded]:
        """Send what the platform lacks of a file or folder; its CID, computed here. It stays for the grace period of a
        collection unless it is pinned or deployed. :raises FolderError, FolderChanged:
        """
        told = report or deploy.silent
        planned = plan(
            Path(path),
            profile=PROFILES[profile],
            hidden=hidden,
            wrap=wrap,
            on_file=lambda files, size: told(deploy.Progress("hash", files=files, bytes=size)),
        )
        project = self._project()
        absent = deploy.missing(self._transport, project, planned.blocks())
        uploaded = deploy.upload(self._transport, project, planned, absent, told)
        told(deploy.Progress("publish"))
        return cids.to_text(planned.root), uploaded

    def fetch(self, cid: str, target: Path, *, path: str = "", count: Count = lambda _bytes: None) -> Written:
        """Write the file or folder at ``path`` below ``cid`` as ``target``: whole and checked, or not at all.

        ``count`` is told how many bytes have come. :raises ContentWrong, UsageError, ApiError:
        """
        root = _parsed(self.look(cid, path).cid if path else cid)
        project = self._project()
        try:
            blocks = Blocks(target.absolute().parent)
        except OSError as error:
            raise not_writable(target, error) from error
        with blocks:
            blocks.receive(root, self._transport.download(_content(project, cids.to_text(root)) + ".car"), count)
            return unpack.write_out(blocks, root, target.absolute())

    def export(self, cid: str, target: Path, *, count: Count = lambda _bytes: None) -> Exported:
        """Write everything below ``cid`` as a CAR file, in which every block is right and none is missing.

        :raises ContentWrong, UsageError, ApiError:
        """
        root = _parsed(cid)
        pieces = self._transport.download(_content(self._project(), cids.to_text(root)) + ".car")
        part = target.absolute().with_name(f".af-{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as file:
                blocks = _complete(root, _copied(pieces, file.write), count)
                size = file.tell()
            part.replace(target)
        except OSError as error:
            raise not_writable(target, error) from error
        finally:
            part.unlink(missing_ok=True)
        return Exported(blocks=blocks, bytes=size)

    def pin(self, cid: str, *, name: str | None = None, public: bool = True) -> Pin:
        """Keep content that is here. (`Client.pin_requests` has content fetched from elsewhere.)"""
        self._project()
        variables = {"cid": cid, "name": name, "public": public}
        return build(Pin, self._transport.graphql(operations.CREATE_PIN, variables)["createPin"])

    def _page(self, base: str, path: str, *, first: int, after: str) -> dict[str, Any]:
        inner = "/".join(segment(part) for part in path.split("/") if part)
        query = f"?first={first}&after={quote(after, safe='')}"
        return dict(self._transport.request("GET", f"{base}/folder/{inner}{query}").json())


def _content(project: str, cid: str) -> str:
    return f"/v1/projects/{segment(project)}/content/{segment(cid)}"


def _entry(document: dict[str, Any]) -> FileEntry:
    return FileEntry(document.get("name", ""), document["cid"], document["kind"], document["size"])


def _parsed(text: str) -> CID:
    try:
        return cids.parse(text)
    except IpfsError as error:
        raise UsageError(f"{text[:80]!r} is not a CID.", hint="`af storage list` shows what is kept.") from error


def _copied(pieces: Iterator[bytes], write: Callable[[bytes], int]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece


def _complete(root: CID, pieces: Iterator[bytes], count: Count) -> int:
    """How many blocks a CAR has, all below ``root``. :raises ContentWrong: some are missing"""
    seen: set[CID] = set()
    wanted = {root}
    for cid, block in unpack.checked(root, pieces, count):
        seen.add(cid)
        wanted.discard(cid)
        try:
            links = export.links_of(cid, block)
        except IpfsError as error:
            raise ContentWrong(f"The block {cids.to_text(cid)} is damaged.", cause=str(error)) from error
        wanted.update(link for link in links if link not in seen and not cids.is_identity(link))
    if wanted:
        raise ContentWrong(f"{len(wanted):,} blocks below {cids.to_text(root)} did not come.", hint="Run it again.")
    return len(seen)
