"""What changed from one deployment to another: files with their sizes, redirects, headers."""

from __future__ import annotations

from af.core.context import Context
from af.core.errors import InvalidInput
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.errors import IpfsError
from af.sites import rules, store
from af.sites.errors import NotDeployable
from af.sites.models import DeploymentDiff
from af.sites.service import content
from af.sites.service.access import READ, deployment_for


async def diff(ctx: Context, before_id: str, after_id: str) -> DeploymentDiff:
    """Compare two deployments, which may belong to two sites of one project.

    :raises NotDeployable: one of them has no content (it failed, or has not been read yet).
    """
    before = await deployment_for(ctx, READ, before_id)
    after = await deployment_for(ctx, READ, after_id)
    for deployment in (before, after):
        if not deployment.cid:
            shown = rules.shown_status(deployment.status)
            raise NotDeployable(f"Deployment {deployment.id} is {shown} and has no content to compare.")
    if before.project_id != after.project_id:
        raise NotDeployable("The deployments belong to two projects.")
    async with ctx.reading() as connection:
        routes = await store.routes_of(connection, [before.id, after.id])
    old = routes.get(before.id, rules.NO_ROUTES).routes
    new = routes.get(after.id, rules.NO_ROUTES).routes
    old_redirects, new_redirects = rules.redirect_lines(old), rules.redirect_lines(new)
    old_headers, new_headers = rules.header_lines(old), rules.header_lines(new)
    try:
        tree = await content.compare_trees(ctx, before.project_id, cids.parse(before.cid), cids.parse(after.cid))
    except IpfsError as error:
        raise InvalidInput(f"The content cannot be compared: {error}.") from error
    return DeploymentDiff(
        before=before.id,
        after=after.id,
        added=tuple(tree.added),
        removed=tuple(tree.removed),
        changed=tuple(tree.changed),
        redirects_added=rules.only_in(new_redirects, old_redirects),
        redirects_removed=rules.only_in(old_redirects, new_redirects),
        headers_added=rules.only_in(new_headers, old_headers),
        headers_removed=rules.only_in(old_headers, new_headers),
        truncated=tree.truncated,
    )
