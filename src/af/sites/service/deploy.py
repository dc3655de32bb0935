"""Deployments from content that is already in the block store: a new root, an older one again, a preview for everybody.

All of them end in `_switch`, the writes by which a deployment becomes visible, in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from af import domains, names, projects, storage
from af.core import ids
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import DeploymentId, SiteId
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCid
from af.sites import rules, store
from af.sites.errors import DeploymentNotFound, NothingToRollBackTo, SiteNotFound
from af.sites.models import Deployment, DeploymentSource, DeploymentStatus, Routes, Site
from af.sites.service import content
from af.sites.service.access import READ, WRITE, deployment_for, site_for
from af.sites.service.notices import announce, log
from af.sites.service.sites import PAGE_MAX


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `go_live` did: ``deployment`` is what visitors see now, which is not a new one if nothing had changed."""

    deployment: Deployment
    is_new: bool


async def get_deployment(ctx: Context, deployment_id: str) -> Deployment:
    """:raises DeploymentNotFound: absent or hidden."""
    return await deployment_for(ctx, READ, deployment_id)


async def list_deployments(
    ctx: Context, site: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[Deployment]:
    """A site's deployments, newest first. ``site`` is an id or slug, ``after`` the last id of the page before."""
    found = await site_for(ctx, READ, site)
    async with ctx.reading() as connection:
        return await store.deployments_of_site(connection, found.id, after=after, limit=max(1, min(first, PAGE_MAX)))


async def create_deployment(
    ctx: Context, site: str, root: str, *, production: bool = True, message: str = ""
) -> Deployment:
    """Make content that the project has uploaded the next version of a site.

    ``root`` is the CID of a UnixFS directory, as text. With ``production`` visitors see it at once; without, it has
    only its own address. The root that is live already is answered with the deployment that it belongs to.

    :raises MissingBlocks: blocks below ``root`` are not here; the error lists some.
    """
    found = await site_for(ctx, WRITE, site)
    root_cid = parse_root(root)
    text = cids.to_text(root_cid)
    if production and (current := await _current_with(ctx, found, text)):
        return current
    summary = await storage.verify_dag(ctx, found.project_id, root_cid)
    routes = rules.read_rule_files(await content.rule_files(ctx, found.project_id, root_cid))
    deployment = replace(
        new_deployment(ctx, found, DeploymentSource.UPLOAD, production=production, message=message),
        cid=text,
        files=summary.files,
        bytes=summary.bytes,
    )
    return (await go_live(ctx, deployment, routes)).deployment


async def promote(ctx: Context, deployment_id: str) -> Deployment:
    """Show a deployment to all visitors, as a new deployment with the same content and rules.

    :raises NotDeployable: it is not ready.
    """
    with projects.memberships_read_once():
        async with ctx.transaction():
            source = await deployment_for(ctx, WRITE, deployment_id)
            return await _repeat(ctx, source, DeploymentSource.PROMOTE)


async def rollback(ctx: Context, site: str, to: str | None = None) -> Deployment:
    """Show an older deployment again, its rules included: nothing is uploaded or rebuilt.

    Without ``to``: the newest ready production deployment that has other content than the current one. (So a second
    rollback undoes the first.)

    :raises NothingToRollBackTo: there is none. :raises DeploymentNotFound: ``to`` is not a deployment of this site.
    """
    with projects.memberships_read_once():
        async with ctx.transaction():
            found = await site_for(ctx, WRITE, site)
            return await _repeat(ctx, await _target(ctx, found, to), DeploymentSource.ROLLBACK)


async def _target(ctx: Context, site: Site, to: str | None) -> Deployment:
    """What a rollback of ``site`` goes back to."""
    async with ctx.reading() as connection:
        if to is None:
            target = await store.previous_production(connection, site.id)
        else:
            target = await store.deployment(connection, to)
            if target is None or target.site_id != site.id:
                raise DeploymentNotFound(f"The site {site.slug} has no deployment {to[:80]!r}.", field="deploymentId")
    if target is None:
        raise NothingToRollBackTo(
            f"The site {site.slug} has no other ready production deployment.",
            hint="Name one: `af rollback DEPLOYMENT`.",
        )
    return target


async def go_live(ctx: Context, deployment: Deployment, routes: Routes, *, stored: bool = False) -> Outcome:
    """Make a deployment ready and visible. The caller has authorised and has checked the content.

    Two at once of one site follow one another, and the last to commit is what visitors see. ``stored``: the row exists
    already (an archive's) and is finished here; if it has reached another final state meanwhile, that stands.
    """
    await storage.publish(ctx, cids.parse(deployment.cid))  # block store work stays outside the transaction
    async with ctx.transaction() as tx:
        site = await _locked(ctx, deployment.site_id)
        if stored:
            row = await store.locked_deployment(tx, deployment.id)
            if row is None or row.status in rules.FINAL:
                return Outcome(row or deployment, is_new=False)
        elif deployment.production and (same := await _current_with(ctx, site, deployment.cid)):
            return Outcome(same, is_new=False)
        return Outcome(await _switch(ctx, site, deployment, routes, stored=stored), is_new=True)


async def _switch(ctx: Context, site: Site, deployment: Deployment, routes: Routes, *, stored: bool) -> Deployment:
    """The writes by which a deployment becomes visible, in the caller's transaction, which holds the site's lock: row,
    root, host names, pointer, event, audit. Its content is public already."""
    ready = replace(deployment, status=DeploymentStatus.SUCCESS, ready_at=ctx.now, updated_at=ctx.now)
    before = {"current": site.current_deployment_id}
    after = {"cid": ready.cid, "production": ready.production, "siteId": site.id}
    async with ctx.transaction() as tx:
        if stored:
            await store.update_deployment(tx, ready, routes)
        else:
            await store.insert_deployment(tx, ready, routes)
        await storage.hold(ctx, ready.project_id, cids.parse(ready.cid), "deployment", ready.id, public=True)
        await domains.bind(ctx, _bindings(site, ready, routes))
        if ready.production:
            await store.set_current(tx, site.id, ready.id, ctx.now)
            await names.lead_site(ctx, site.id, f"/ipfs/{ready.cid}")
        await log(ctx, ready, _live_line(site, ready))  # before the final state, which ends what watchers see
        await announce(ctx, ready)
        await projects.audit(ctx, f"deployment.{ready.source.value}", ready.project_id, ready.id, before, after)
    return ready


def _live_line(site: Site, ready: Deployment) -> str:
    shown = f"{ready.files:,} files, {ready.bytes:,} bytes, {ready.cid}"
    if ready.source is DeploymentSource.ROLLBACK:
        return f"{site.slug} was rolled back to {ready.restores}: {shown}."
    if ready.source is DeploymentSource.PROMOTE:
        return f"{site.slug} shows {ready.restores}: {shown}."
    return f"{site.slug} shows {shown}." if ready.production else f"Preview of {site.slug}: {shown}."


def new_deployment(ctx: Context, site: Site, source: DeploymentSource, *, production: bool, message: str) -> Deployment:
    """A deployment of ``site`` that has no content yet."""
    return Deployment(
        id=DeploymentId(ids.new(ids.DEPLOYMENT, ctx.now)),
        site_id=site.id,
        project_id=site.project_id,
        cid="",
        status=DeploymentStatus.PENDING,
        production=production,
        source=source,
        files=0,
        bytes=0,
        error_code="",
        error_message="",
        message=rules.check_message(message),
        created_by=ctx.actor.user_id,
        created_at=ctx.now,
        updated_at=ctx.now,
        ready_at=None,
        restores=None,
        rolled_back_from=None,
    )


def parse_root(text: str) -> CID:
    """:raises InvalidInput: not a CID."""
    try:
        return cids.parse(text)
    except InvalidCid as error:
        raise InvalidInput(f"{text[:80]!r} is not a CID: {error}.", field="cid") from error


async def _repeat(ctx: Context, source: Deployment, kind: DeploymentSource) -> Deployment:
    """A new production deployment with the content and rules of ``source``. Its root is held, so all of it is here and
    public. Called in the transaction in which ``source`` was read."""
    rules.check_can_go_live(source)
    async with ctx.transaction() as tx:
        site = await _locked(ctx, source.site_id)
        if site.current_deployment_id == source.id:
            return source
        if same := await _current_with(ctx, site, source.cid):
            return same
        routes = (await store.routes_of(tx, [source.id])).get(source.id)
        if routes is None:
            raise DeploymentNotFound("The deployment was deleted meanwhile.")
        deployment = replace(
            new_deployment(ctx, site, kind, production=True, message=source.message),
            cid=source.cid,
            files=source.files,
            bytes=source.bytes,
            restores=source.id,
            rolled_back_from=site.current_deployment_id if kind is DeploymentSource.ROLLBACK else None,
        )
        return await _switch(ctx, site, deployment, routes, stored=False)


async def _locked(ctx: Context, site_id: SiteId) -> Site:
    async with ctx.transaction() as tx:
        site = await store.locked_site(tx, site_id)
    if site is None:
        raise SiteNotFound("The site was deleted meanwhile.")
    return site


async def _current_with(ctx: Context, site: Site, cid: str) -> Deployment | None:
    """The site's current deployment, if its content is ``cid``; rules are part of the content."""
    if site.current_deployment_id is None:
        return None
    async with ctx.reading() as connection:
        current = await store.deployment(connection, site.current_deployment_id)
    return current if current is not None and current.cid == cid else None


def _bindings(site: Site, deployment: Deployment, routes: Routes) -> list[domains.HostBinding]:
    hosts = [rules.preview_host(deployment.id, site.slug)]
    if deployment.production:
        hosts.append(site.slug)
    return [
        domains.HostBinding(
            zone=domains.SITE_ZONE,
            name=name,
            project_id=site.project_id,
            site_id=site.id,
            deployment_id=deployment.id,
            root=deployment.cid,
            routes=routes.routes,
        )
        for name in hosts
    ]
