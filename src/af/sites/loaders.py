"""The batch loaders that the resolvers of sites share in one GraphQL request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from af import projects
from af.core.batch import Batch
from af.core.context import Context
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.sites import service
from af.sites.models import Deployment, Routes, Site


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
