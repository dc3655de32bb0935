"""Deleting one's account: identity does it, once nobody is left behind without an owner."""

from __future__ import annotations

from af import auth
from af.core.context import Context
from af.projects import store
from af.projects.errors import LastOwner
from af.projects.models import OrganizationRole
from af.projects.service.organizations import PAGE_MAX, list_organizations


async def delete_account(ctx: Context, confirm: str) -> auth.User:
    """Schedule the end of the caller's account; ``confirm`` is its user name. Errors as
    `af.auth.profile.schedule_deletion`.

    :raises LastOwner: an organization with other members has no other owner.
    """
    await auth.require_recent(ctx)
    after = None
    async with ctx.transaction() as tx:
        while page := await list_organizations(ctx, first=PAGE_MAX, after=after):
            for organization, role in page:
                if role is not OrganizationRole.OWNER:
                    continue
                members = (await store.organizations.locked_members(tx, organization.id)).values()
                owners = [member for member in members if member.role is OrganizationRole.OWNER]
                if len(owners) == 1 and len(members) > 1:
                    raise LastOwner(
                        f"You are the only owner of {organization.name}, which has other members.",
                        hint="Make somebody else an owner, or remove the others first.",
                    )
            after = page[-1][0].id
        return await auth.profile.schedule_deletion(ctx, confirm)
