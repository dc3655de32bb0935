"""Finding a site or deployment and checking that the caller may touch it; the first step of every use.

What does not exist and what belongs to strangers give the same answer.
"""

from __future__ import annotations

from af import projects
from af.core import ids
from af.core.context import Context
from af.core.errors import NotFound
from af.sites import store
from af.sites.errors import DeploymentNotFound, SiteNotFound
from af.sites.models import Deployment, Site

READ = "sites:read"
WRITE = "sites:write"


async def site_for(ctx: Context, action: str, id_or_slug: str) -> Site:
    """:raises SiteNotFound: absent or hidden. :raises Forbidden: visible, but not for this action."""
    async with ctx.reading() as connection:
        if ids.is_id(ids.SITE, id_or_slug):
            site = await store.site(connection, id_or_slug)
        else:
            site = await store.site_by_slug(connection, id_or_slug)
    if site is None:
        await projects.require_signed_in(ctx)
        raise _no_site(id_or_slug)
    try:
        await projects.authorize(ctx, action, project_id=site.project_id)
    except NotFound as error:
        raise _no_site(id_or_slug) from error
    return site


async def deployment_for(ctx: Context, action: str, deployment_id: str) -> Deployment:
    """:raises DeploymentNotFound: absent or hidden. :raises Forbidden: visible, but not for this action."""
    async with ctx.reading() as connection:
        deployment = await store.deployment(connection, deployment_id)
    if deployment is None:
        await projects.require_signed_in(ctx)
        raise _no_deployment(deployment_id)
    try:
        await projects.authorize(ctx, action, project_id=deployment.project_id)
    except NotFound as error:
        raise _no_deployment(deployment_id) from error
    return deployment


def _no_site(name: str) -> SiteNotFound:
    return SiteNotFound(f"There is no site {name[:80]!r}.", hint="`af sites list` shows your sites.")


def _no_deployment(deployment_id: str) -> DeploymentNotFound:
    return DeploymentNotFound(f"There is no deployment {deployment_id[:80]!r}.")
