"""Where sites and deployments are reached, as users type it."""

from __future__ import annotations

from af.core.context import Context
from af.sites.models import Deployment, Site
from af.sites.rules import preview_host


def site_url(ctx: Context, site: Site) -> str:
    """The site's own address: what is current."""
    return ctx.platform.url(f"{site.slug}.{ctx.settings.sites_suffix}")


def deployment_url(ctx: Context, site: Site, deployment: Deployment) -> str:
    """The address that always shows this deployment."""
    return ctx.platform.url(f"{preview_host(deployment.id, site.slug)}.{ctx.settings.sites_suffix}")
