"""Names of sites on the open networks: the IPNS name that follows one, and the DNS record that leads a domain to it."""

from __future__ import annotations

from collections.abc import Sequence

from af import names
from af.core.context import Context
from af.core.ids import SiteId
from af.names import DnsLink, IpnsName
from af.sites import store
from af.sites.errors import SiteNotFound
from af.sites.models import Site
from af.sites.service.access import WRITE, site_for


async def give_name(ctx: Context, site: str) -> IpnsName:
    """The IPNS name of a site, made at the first call. From then on it follows every production deployment.

    :raises SiteNotFound: absent or hidden.
    """
    found = await site_for(ctx, WRITE, site)
    async with ctx.transaction() as tx:
        locked = await store.locked_site(tx, found.id)  # no deployment goes live and no name is given meanwhile
        if locked is None:
            raise SiteNotFound(f"The site {found.slug} was deleted meanwhile.")
        known = (await names.names_of_sites(ctx, [found.id]))[found.id]
        if known:
            return known[0]
        return await names.create(ctx, found.project_id, site_id=found.id, value=await _content(ctx, locked))


async def names_of_sites(ctx: Context, site_ids: Sequence[SiteId]) -> dict[SiteId, list[IpnsName]]:
    """The IPNS names of each of these sites, which the caller may see."""
    return await names.names_of_sites(ctx, site_ids)


async def dnslink(ctx: Context, site: Site, host: str | None = None) -> DnsLink | None:
    """The TXT record that leads ``host`` (without: the site's own) to a site that the caller has been shown: by its
    IPNS name if it has one, and then for good; else by the CID of what is current, until the next deployment. `None`:
    it has neither.
    """
    named = (await names.names_of_sites(ctx, [site.id]))[site.id]
    path = f"/ipns/{named[0].name}" if named else await _content(ctx, site)
    return names.dnslink(host or f"{site.slug}.{ctx.settings.sites_suffix}", path) if path else None


async def _content(ctx: Context, site: Site) -> str:
    """The path of what is current; empty for none."""
    if site.current_deployment_id is None:
        return ""
    async with ctx.reading() as connection:
        current = await store.deployment(connection, site.current_deployment_id)
    return "" if current is None else f"/ipfs/{current.cid}"
