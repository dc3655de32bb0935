"""Create, list, rename and delete sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from af import domains, names, projects, storage
from af.core import events, ids
from af.core.context import Context, only_the_platform
from af.core.ids import ProjectId, SiteId
from af.sites import rules, store
from af.sites.errors import SiteNotFound, SlugTaken, TooManySites
from af.sites.models import Site
from af.sites.service.access import READ, WRITE, site_for

SITES_PER_PROJECT_MAX = 10_000
PAGE_MAX = 101
"""A page of 100 and one more, which tells whether there is a next page."""


async def create(ctx: Context, name: str, *, slug: str | None = None, project_id: str) -> Site:
    """A new, empty site of a project (named by id or slug). Without ``slug`` one is made of the name; if a stranger has
    that one, it gets an ending.

    :raises SlugTaken: a site has the slug asked for, or a site of this project has the one made of the name.
    """
    project = await projects.authorize(ctx, WRITE, project_id=project_id)
    name = rules.check_name(name)
    site_id = SiteId(ids.new(ids.SITE, ctx.now))
    wanted = rules.check_slug(slug) if slug is not None else rules.slug_from_name(name)
    async with ctx.transaction() as tx:
        if await store.count_sites(tx, project.id) >= SITES_PER_PROJECT_MAX:
            raise TooManySites(f"A project may have {SITES_PER_PROJECT_MAX} sites.")
        holder = await store.site_by_slug(tx, wanted)
        if holder is not None and (slug is not None or holder.project_id == project.id):
            raise SlugTaken(f"The slug {wanted} is taken.", hint="Choose another slug.", field="slug")
        if holder is not None:
            wanted = rules.slug_beside(wanted, site_id)
        site = Site(
            id=site_id,
            project_id=project.id,
            name=name,
            slug=wanted,
            current_deployment_id=None,
            created_by=ctx.actor.user_id,
            created_at=ctx.now,
            updated_at=ctx.now,
        )
        await store.insert_site(tx, site)
        await _tell(ctx, site, "site.created")
        await projects.audit(ctx, "site.create", project.id, site.id, None, {"name": name, "slug": site.slug})
    return site


async def get(ctx: Context, id_or_slug: str) -> Site:
    """A site by id or slug. :raises SiteNotFound: absent or hidden."""
    return await site_for(ctx, READ, id_or_slug)


async def get_by_slug(ctx: Context, slug: str) -> Site:
    """A site by slug only. :raises SiteNotFound: absent or hidden."""
    if not rules.is_valid_slug(slug):
        raise SiteNotFound(f"There is no site {slug[:80]!r}.", hint="`af sites list` shows your sites.")
    return await site_for(ctx, READ, slug)


async def list_sites(ctx: Context, project_id: str, *, first: int = PAGE_MAX, after: str | None = None) -> list[Site]:
    """A project's sites, newest first. ``after`` is the last id of the page before; ``first`` ≤ 101."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.sites_of_project(connection, project.id, after=after, limit=max(1, min(first, PAGE_MAX)))


async def slug_is_free(ctx: Context, slug: str) -> bool:
    """Whether a site could take the slug now: it is valid, not reserved and not in use."""
    await projects.require_signed_in(ctx)
    if not rules.is_valid_slug(slug):
        return False
    async with ctx.reading() as connection:
        return await store.site_by_slug(connection, slug) is None


async def rename(ctx: Context, id_or_slug: str, *, name: str | None = None, slug: str | None = None) -> Site:
    """Change a site's name, slug or both. A new slug moves the addresses of all its deployments with it, at once; the
    old addresses answer 404 and the old slug is free.

    :raises SlugTaken: another site has the slug.
    """
    before = await site_for(ctx, WRITE, id_or_slug)
    new_name = rules.check_name(name) if name is not None else before.name
    new_slug = rules.check_slug(slug) if slug is not None else before.slug
    async with ctx.transaction() as tx:
        site = await store.locked_site(tx, before.id)
        if site is None:
            raise SiteNotFound(f"The site {before.slug} was deleted meanwhile.")
        renamed = replace(site, name=new_name, slug=new_slug, updated_at=ctx.now)
        await store.update_site(tx, renamed)
        if new_slug != site.slug:
            hosts = [(site.slug, new_slug)]
            for deployment_id in await store.deployment_ids(tx, site.id):
                hosts.append(
                    (rules.preview_host(deployment_id, site.slug), rules.preview_host(deployment_id, new_slug))
                )
            await domains.move(ctx, domains.SITE_ZONE, hosts, project_id=site.project_id, site_id=site.id)
        await _tell(ctx, renamed, "site.renamed")
        await projects.audit(
            ctx,
            "site.update",
            site.project_id,
            site.id,
            {"name": site.name, "slug": site.slug},
            {"name": new_name, "slug": new_slug},
        )
    return renamed


async def delete(ctx: Context, id_or_slug: str) -> Site:
    """Delete a site with all its deployments and addresses. Its content goes with the next collection, unless something
    else holds it."""
    found = await site_for(ctx, WRITE, id_or_slug)
    async with ctx.transaction() as tx:
        site = await store.locked_site(tx, found.id)
        if site is None:
            raise SiteNotFound(f"The site {found.slug} was deleted meanwhile.")
        await names.leave_site(ctx, site.id)
        await domains.unbind_site(ctx, project_id=site.project_id, site_id=site.id)
        await storage.release(ctx, "deployment", *await store.deployment_ids(tx, site.id))
        await store.delete_site(tx, site.id)
        await _tell(ctx, site, "site.deleted")
        await projects.audit(ctx, "site.delete", site.project_id, site.id, {"name": site.name, "slug": site.slug}, None)
    return site


async def projects_to_empty(ctx: Context) -> list[ProjectId]:
    """Deleted projects that still have sites. For the worker: projects know nothing of sites, so sites follow them."""
    only_the_platform(ctx)

    async def with_sites(deleted: Sequence[ProjectId]) -> list[ProjectId]:
        async with ctx.reading() as connection:
            return await store.projects_with_sites(connection, deleted)

    return await projects.deleted_projects_with(ctx, with_sites)


async def empty_project(ctx: Context, project_id: ProjectId) -> None:
    """Delete all sites of a project. Harmless when repeated."""
    only_the_platform(ctx)
    for _ in range(SITES_PER_PROJECT_MAX):
        page = await list_sites(ctx, project_id)
        for site in page:
            await delete(ctx, site.id)
        if not page:
            break


async def _tell(ctx: Context, site: Site, kind: str) -> None:
    data = {"siteId": site.id, "slug": site.slug, "name": site.name}
    await events.publish(ctx, project_id=site.project_id, topic=f"site:{site.id}", kind=kind, data=data)
