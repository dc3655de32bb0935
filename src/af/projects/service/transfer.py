"""A project goes to another organization."""

from __future__ import annotations

from dataclasses import replace

from af.core import audit, events
from af.core.context import Context
from af.projects import store
from af.projects.errors import OrganizationNotFound
from af.projects.models import Project
from af.projects.service.access import authorize, authorize_organization


async def transfer_project(ctx: Context, project_id: str, organization_id: str) -> Project:
    """Move a project with everything in it. Its direct members stay; what the old organization gave ends.

    For an owner of the project who is an admin or owner of both organizations: whoever is only an admin of the old one
    could make themselves the project's owner by it, and whoever only owns the project could take it away.

    :raises ProjectNotFound, OrganizationNotFound: absent or hidden. :raises RoleTooLow: not in all three.
    """
    found = await authorize(ctx, "projects:admin", project_id=project_id)
    await authorize_organization(ctx, "organizations:write", organization_id=found.organization_id)
    target = await authorize_organization(ctx, "organizations:write", organization_id=organization_id)
    if target.id == found.organization_id:
        return found
    async with ctx.transaction() as tx:
        for key in sorted((target.id, found.organization_id)):  # in one order, so that two transfers do not block
            if await store.organizations.locked(tx, key) is None:
                raise OrganizationNotFound("The organization was deleted just now.")
        await authorize(ctx, "projects:admin", project_id=found.id)  # as it is now, under the locks
        await authorize_organization(ctx, "organizations:write", organization_id=found.organization_id)
        await authorize_organization(ctx, "organizations:write", organization_id=target.id)
        before = await store.projects.project(tx, found.id) or found
        if before.organization_id != found.organization_id:
            raise OrganizationNotFound("The project was moved just now.")
        after = replace(before, organization_id=target.id, updated_at=ctx.now)
        await store.projects.update(tx, after)
        await store.organizations.forget_project(tx, found.id)
        await store.invitations.revoke_all(tx, project_id=found.id)
        change = ({"organizationId": before.organization_id}, {"organizationId": target.id})
        for chain in (f"project:{found.id}", f"organization:{before.organization_id}", f"organization:{target.id}"):
            await audit.record(ctx, chain, "project.transfer", found.id, *change)
        data = {"projectId": found.id, "organizationId": target.id}
        topic = f"project:{found.id}"
        await events.publish(ctx, project_id=found.id, topic=topic, kind="project.transferred", data=data)
    return after
