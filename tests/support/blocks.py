"""Blocks in a dictionary, host rows in a list, and a site made of them: what gateway tests serve from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from af.core.ids import DeploymentId, ProjectId, SiteId
from af.domains import HostEntry
from af.gateway.errors import NameUnresolved
from af.gateway.names import Place
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from af.storage.errors import BlockMissing


class MemoryBlocks:
    """What the gateway needs of a block store. ``reads`` counts `get`; ``peekable`` switches `peek` on."""

    def __init__(self, *, peekable: bool = False) -> None:
        self.data: dict[CID, bytes] = {}
        self.public: set[CID] = set()
        self.peekable = peekable
        self.reads = 0

    def peek(self, cid: CID, *, public_only: bool = False) -> bytes | None:
        if not self.peekable or (public_only and cid not in self.public):
            return None
        return self.data.get(cid)

    async def get(self, cid: CID, *, public_only: bool = False) -> bytes:
        self.reads += 1
        if cid not in self.data or (public_only and cid not in self.public):
            raise BlockMissing(cid)
        return self.data[cid]

    def add(self, cid: CID, block: bytes) -> None:
        self.data[cid] = block

    def publish(self) -> None:
        """Everything stored until now becomes public."""
        self.public |= self.data.keys()

    def file(self, content: bytes, profile: unixfs.Profile = unixfs.DEFAULT_PROFILE) -> unixfs.Entry:
        return unixfs.import_file(io.BytesIO(content).read, self.add, profile)

    def folder(
        self, files: Mapping[str, bytes | unixfs.Entry], profile: unixfs.Profile = unixfs.DEFAULT_PROFILE
    ) -> CID:
        """A directory tree; values are contents or entries made before (symlinks)."""
        entries = [
            (path, content if isinstance(content, unixfs.Entry) else self.file(content, profile))
            for path, content in files.items()
        ]
        return unixfs.build_tree(entries, self.add, profile).cid

    def symlink(self, target: bytes) -> unixfs.Entry:
        return unixfs.symlink(target, self.add)


class HostRows:
    """The host table as a list that is appended to. ``failure`` is raised by every read while it is set."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], HostEntry] = {}
        self.change_no = 0
        self.lookups = 0
        self.failure: Exception | None = None

    def bind(
        self,
        name: str,
        root: CID | None,
        *,
        zone: str = "site",
        routes: Mapping[str, Any] | None = None,
        suspended: bool = False,
    ) -> HostEntry:
        self.change_no += 1
        entry = HostEntry(
            zone=zone,
            name=name,
            project_id=ProjectId("prj_test"),
            site_id=SiteId(f"sit_{name.rpartition('--')[2]}"),
            deployment_id=DeploymentId("dep_test"),
            root=None if root is None else cids.to_text(root),
            routes=routes or {},
            suspended=suspended,
            change_no=self.change_no,
        )
        self.rows[(zone, name)] = entry
        return entry

    async def lookup(self, zone: str, name: str) -> HostEntry | None:
        self.lookups += 1
        self._fail()
        return self.rows.get((zone, name))

    async def changed_since(self, change_no: int, limit: int) -> Sequence[HostEntry]:
        self._fail()
        changed = [entry for entry in self.rows.values() if entry.change_no > change_no]
        return sorted(changed, key=lambda entry: entry.change_no)[:limit]

    async def latest_change(self) -> int:
        self._fail()
        return self.change_no

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class NameRows:
    """Names and where they lead, and IPNS records by key; `af.names` is tested on its own."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.records: dict[CID, bytes] = {}

    async def resolve(self, name: str) -> Place:
        if name not in self.places:
            raise NameUnresolved("This name leads nowhere.")
        return self.places[name]

    async def record(self, key: CID) -> bytes:
        if key not in self.records:
            raise NameUnresolved("No record.")
        return self.records[key]
