"""The host table in memory: which root answers at which name, right up to the last committed change.

Every request compares the "hosts" bell (nanoseconds). When it rang, the rows changed since are read *before* the
request is answered, so that a rollback shows in the very next request of every process on this machine; other machines
see it after `POLL_SECONDS`. Memory is bounded by the ``gateway_hosts_max`` setting (least recently used names leave);
while the database fails, what is known goes on being served.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import structlog

from af.core.bell import Bell
from af.core.clock import monotonic
from af.core.errors import Error
from af.domains import HostEntry
from af.gateway.usage import Usage
from af.protocols import headers, redirects
from af.protocols.ipfs import cid as cids

POLL_SECONDS = 1.0
REFRESH_WAIT_SECONDS = 0.5
"""How long a request waits for a refresh that does not come; then it is answered with what is known."""
REFRESH_SECONDS_MAX = 10.0
RETRY_SECONDS = 0.25
FORGET_SECONDS = 86_400.0
"""After so long without a look at the changes their tombstones may be gone: start anew (`domains` keeps them a
week)."""
CHANGES_PER_READ = 500
CHANGES_FOLLOWED_MAX = 10_000
"""Further behind than this, forgetting everything is cheaper than reading what changed."""
LOOKUPS_AT_ONCE_MAX = 16
_ATTEMPTS_MAX = 4

Key = tuple[str, str]
log = structlog.get_logger("af.gateway.hosts")


class HostSource(Protocol):
    """Where the rows are: `af.domains` with a context, or a test's list."""

    async def lookup(self, zone: str, name: str) -> HostEntry | None: ...
    async def changed_since(self, change_no: int, limit: int) -> Sequence[HostEntry]: ...
    async def latest_change(self) -> int: ...


class Site:
    """A bound name, ready to serve. ``scope`` stands for everything that decides its responses (root, rules, kind of
    name): the response cache is keyed by it, so a flip of the pointer needs no invalidation and a flip back finds the
    old responses. ``pinned`` marks a deployment's own address, whose content never changes."""

    def __init__(self, entry: HostEntry, usage: Usage) -> None:
        assert entry.root is not None, "tombstones are no sites"
        self.entry = entry
        self.usage = usage
        self.root = cids.parse(entry.root)
        self.suspended = entry.suspended
        self.pinned = "--" in entry.name and entry.zone == "site"
        rules = json.dumps(entry.routes, sort_keys=True).encode() if entry.routes else b""
        self.scope = (
            f"{entry.root}{'+' if self.pinned else ''}{hashlib.sha256(rules).hexdigest()[:24] if rules else ''}"
        )
        self.asks_query = any(rule.get("query") for rule in entry.routes.get("redirects", ()))

    @cached_property
    def redirects(self) -> redirects.Matcher | None:
        rules = self.entry.routes.get("redirects")
        return redirects.Matcher(redirects.from_json(rules)) if rules else None

    @cached_property
    def headers(self) -> headers.Matcher | None:
        rules = self.entry.routes.get("headers")
        return headers.Matcher(headers.from_json(rules)) if rules else None


class HostTable:
    def __init__(self, source: HostSource, bell: Bell, *, hosts_max: int) -> None:
        self._source = source
        self._bell = bell
        self._hosts_max = hosts_max
        self._sites: OrderedDict[Key, Site] = OrderedDict()
        self._absent: OrderedDict[Key, None] = OrderedDict()
        self._usage: dict[str, Usage] = {}
        self._heard = b""
        self._change_no: int | None = None
        self._generation = 0
        self._checked_at = float("-inf")
        self._retry_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        self._refresh_started = 0.0
        self._lookups = asyncio.Semaphore(LOOKUPS_AT_ONCE_MAX)

    # --- reading ---------------------------------------------------------------------------------------------------

    def fresh(self, zone: str, name: str, now: float) -> Site | None:
        """The site if it is in memory and nothing changed since: the hot path, no waiting. ``now`` is `monotonic`.

        A poll that is due starts beside the answer; only when it is long overdue does the caller have to wait for it.
        """
        if now >= self._retry_at:
            if self._bell.read("hosts") != self._heard:
                return None
            age = now - self._checked_at
            if age > POLL_SECONDS:
                if age > 2 * POLL_SECONDS:
                    return None
                self._start_refresh(now)
        key = (zone, name)
        site = self._sites.get(key)
        if site is not None:
            self._sites.move_to_end(key)
        return site

    async def find(self, zone: str, name: str) -> Site | None:
        """The site at this name, or `None`.

        :raises Error: the name is not in memory and the database does not answer.
        """
        await self._catch_up()
        key = (zone, name)
        for _ in range(_ATTEMPTS_MAX):
            if (site := self._sites.get(key)) is not None:
                self._sites.move_to_end(key)
                return site
            if key in self._absent:
                self._absent.move_to_end(key)
                return None
            generation = self._generation
            async with self._lookups:
                entry = await self._source.lookup(zone, name)
            if generation == self._generation:  # else a change overtook the answer: look again
                self._remember(key, entry)
        site = self._sites.get(key)
        return site if site is not None or entry is None else self._site(entry)

    def take_usage(self) -> dict[str, tuple[int, int]]:
        """Requests and body bytes by site id since the last call; for the meters."""
        taken = {site_id: usage.take() for site_id, usage in self._usage.items() if usage.requests}
        served = {site.entry.site_id for site in self._sites.values()}
        for site_id in [site_id for site_id in self._usage if site_id not in served]:
            del self._usage[site_id]
        return taken

    # --- following -------------------------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        """Returns once what was committed before the call is in memory, or known to be out of reach for now."""
        for _ in range(_ATTEMPTS_MAX):
            now = monotonic()
            if now < self._retry_at or (
                self._bell.read("hosts") == self._heard and now - self._checked_at <= POLL_SECONDS
            ):
                return
            refreshing = self._start_refresh(now)
            left = self._refresh_started + REFRESH_WAIT_SECONDS - now
            if left <= 0:
                return
            await asyncio.wait((refreshing,), timeout=left)
            if not refreshing.done():
                return
            refreshing.result()  # a bug in it is this request's failure too

    def _start_refresh(self, now: float) -> asyncio.Task[None]:
        if self._refreshing is None:
            self._refresh_started = now
            self._refreshing = asyncio.get_running_loop().create_task(self._refresh())
        return self._refreshing

    async def _refresh(self) -> None:
        """Read the bell first: a ring during the reading then calls for another round."""
        heard, started = self._bell.read("hosts"), monotonic()
        try:
            async with asyncio.timeout(REFRESH_SECONDS_MAX):
                if self._change_no is None or started - self._checked_at > FORGET_SECONDS:
                    await self._start_anew()
                else:
                    await self._follow(self._change_no)
            self._heard, self._checked_at = heard, started
        except (Error, TimeoutError) as error:
            self._retry_at = monotonic() + RETRY_SECONDS
            log.warning("host table is stale", reason=str(error), detail=getattr(error, "detail", ""))
        finally:
            self._refreshing = None

    async def _follow(self, change_no: int) -> None:
        followed = 0
        while True:
            changes = await self._source.changed_since(change_no, CHANGES_PER_READ)
            for entry in changes:
                change_no = max(change_no, entry.change_no)
                key = (entry.zone, entry.name)
                if key in self._sites or key in self._absent:
                    self._remember(key, entry)
            if changes:
                self._generation += 1
                self._change_no = change_no
            followed += len(changes)
            if len(changes) < CHANGES_PER_READ:
                return
            if followed >= CHANGES_FOLLOWED_MAX:
                await self._start_anew()
                return

    async def _start_anew(self) -> None:
        self._change_no = await self._source.latest_change()
        self._sites.clear()
        self._absent.clear()
        self._generation += 1

    def _remember(self, key: Key, entry: HostEntry | None) -> None:
        self._sites.pop(key, None)
        self._absent.pop(key, None)
        if entry is None or entry.root is None:
            self._absent[key] = None
            if len(self._absent) > self._hosts_max:
                self._absent.popitem(last=False)
            return
        self._sites[key] = self._site(entry)
        if len(self._sites) > self._hosts_max:
            self._sites.popitem(last=False)

    def _site(self, entry: HostEntry) -> Site:
        usage = self._usage.get(entry.site_id)
        if usage is None:
            usage = self._usage[entry.site_id] = Usage()
            if len(self._usage) > 4 * self._hosts_max:  # nobody takes it, so the oldest is forgotten
                del self._usage[next(iter(self._usage))]
        return Site(entry, usage)
