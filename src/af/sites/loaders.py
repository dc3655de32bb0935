"""Batch loaders for one GraphQL request: keys asked for in the same turn of the event loop become one query."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from af import projects
from af.core.context import Context
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.sites import service
from af.sites.models import Deployment, Routes, Site

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
BATCH_KEYS_MAX = 1_000


class Batch(Generic[Key, Value]):
    """``load(key)`` is an awaitable for the key's value (`None` when there is none); each key is fetched once."""

    def __init__(self, fetch: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._fetch = fetch
        self._known: dict[Key, asyncio.Future[Value | None]] = {}
        self._waiting: list[Key] = []
        self._running: set[asyncio.Task[None]] = set()

    def load(self, key: Key) -> asyncio.Future[Value | None]:
        future = self._known.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._known[key] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._dispatch)
            self._waiting.append(key)
        return future

    def _dispatch(self) -> None:
        keys, self._waiting = self._waiting, []
        for start in range(0, len(keys), BATCH_KEYS_MAX):
            task = asyncio.ensure_future(self._answer(keys[start : start + BATCH_KEYS_MAX]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _answer(self, keys: list[Key]) -> None:
        try:
            found = await self._fetch(keys)
        except BaseException as error:
            for key in keys:
                future = self._known[key]
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # several fields may wait for one failure: it counts as seen
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        for key in keys:
            future = self._known[key]
            if not future.done():  # its reader may have been cancelled
                future.set_result(found.get(key))


class SiteLoaders:
    """The loaders that this domain's resolvers share in one request."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._deployments: dict[int, Batch[SiteId, list[Deployment]]] = {}
        self._sites: dict[int, Batch[ProjectId, list[Site]]] = {}
        self.site: Batch[SiteId, Site] = Batch(lambda keys: service.sites_by_id(ctx, keys))
        self.deployment: Batch[DeploymentId, Deployment] = Batch(lambda keys: service.deployments_by_id(ctx, keys))
        self.routes: Batch[DeploymentId, Routes] = Batch(lambda keys: service.routes_by_deployment(ctx, keys))
        self.project: Batch[ProjectId, projects.Project] = Batch(lambda keys: projects.projects_by_id(ctx, keys))

    def latest_deployments(self, limit: int) -> Batch[SiteId, list[Deployment]]:
        """The newest ``limit`` deployments of a site."""
        if limit not in self._deployments:
            self._deployments[limit] = Batch(lambda keys: service.latest_deployments(self._ctx, keys, limit))
        return self._deployments[limit]

    def newest_sites(self, limit: int) -> Batch[ProjectId, list[Site]]:
        """The newest ``limit`` sites of a project."""
        if limit not in self._sites:
            self._sites[limit] = Batch(lambda keys: service.newest_sites(self._ctx, keys, limit))
        return self._sites[limit]


def loaders(context: Mapping[str, Any]) -> SiteLoaders:
    """The request's loaders, made on first use."""
    return cast(SiteLoaders, context["loaders"].get("sites", lambda: SiteLoaders(context["ctx"])))
