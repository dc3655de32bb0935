"""The batch loaders that the resolvers of sites share in one GraphQL request."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, cast

from af import projects
from af.core.batch import Batch
from af.core.context import Context
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.names import IpnsName
from af.sites import service
from af.sites.models import Deployment, Routes, Site


class SiteLoaders:
    """The loaders that this domain's resolvers share in one request."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._known_sites: dict[SiteId, Site] = {}
        self.known_project: projects.Project | None = None
        self._deployments: dict[int, Batch[SiteId, list[Deployment]]] = {}
        self._sites: dict[int, Batch[ProjectId, list[Site]]] = {}
        self.site: Batch[SiteId, Site] = Batch(lambda keys: service.sites_by_id(ctx, keys))
        self.deployment: Batch[DeploymentId, Deployment] = Batch(lambda keys: service.deployments_by_id(ctx, keys))
        self.routes: Batch[DeploymentId, Routes] = Batch(lambda keys: service.routes_by_deployment(ctx, keys))
        self.names: Batch[SiteId, list[IpnsName]] = Batch(lambda keys: service.names_of_sites(ctx, keys))
        self.project: Batch[ProjectId, projects.Project] = Batch(lambda keys: projects.projects_by_id(ctx, keys))

    def latest_deployments(self, limit: int) -> Batch[SiteId, list[Deployment]]:
        """The newest ``limit`` deployments of a site."""
        if limit not in self._deployments:
            self._deployments[limit] = Batch(lambda keys: service.latest_deployments(self._ctx, keys, limit))
        return self._deployments[limit]

    def newest_sites(self, limit: int) -> Batch[ProjectId, list[Site]]:
        """The newest ``limit`` sites of a project."""
        if limit not in self._sites:
            self._sites[limit] = Batch(lambda keys: self._newest_sites(keys, limit))
        return self._sites[limit]

    def prime(self, sites: Iterable[Site]) -> None:
        """Sites that the request has in hand: what asks for them through `site_of` need not wait for a query."""
        self._known_sites.update((site.id, site) for site in sites)

    def site_of(self, site_id: SiteId) -> Site | Awaitable[Site | None]:
        """The site itself when it is in hand, which spares the engine a task; else when it is loaded."""
        return self._known_sites.get(site_id) or self.site.load(site_id)

    def project_of(self, project_id: ProjectId) -> projects.Project | Awaitable[projects.Project | None]:
        """The same for a project, of which a list has one."""
        known = self.known_project
        return known if known is not None and known.id == project_id else self.project.load(project_id)

    async def _newest_sites(self, project_ids: Sequence[ProjectId], limit: int) -> dict[ProjectId, list[Site]]:
        found = await service.newest_sites(self._ctx, project_ids, limit)
        for sites in found.values():
            self.prime(sites)
        return found


def loaders(context: Mapping[str, Any]) -> SiteLoaders:
    """The request's loaders, made on first use."""
    return cast(SiteLoaders, context["loaders"].get("sites", lambda: SiteLoaders(context["ctx"])))
