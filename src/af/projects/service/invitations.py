"""Invitations by e-mail. The link's secret exists in the message only: neither lists nor the database have it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import timedelta

from af import auth
from af.core import audit, events, ids, limits, messages
from af.core.context import SYSTEM, ActorKind, Context
from af.core.errors import Error, Forbidden
from af.core.ids import InvitationId, OrganizationId, UserId
from af.core.messages import addresses, outbox
from af.projects import rules, store
from af.projects.errors import (
    AlreadyInvited,
    AlreadyMember,
    InvitationNotFound,
    InvitationOver,
    InvitedAddressDiffers,
    TooManyInvitations,
    TooManyMembers,
)
from af.projects.models import (
    Invitation,
    InvitationState,
    Member,
    Organization,
    OrganizationMember,
    OrganizationRole,
    Project,
    Role,
    ShownInvitation,
)
from af.projects.service.access import authorize, authorize_organization, membership, organization_place

PAGE_MAX = 100
_SECRET_BYTES = 32
_SECRET_LENGTH_MAX = 64
_DAY = timedelta(days=1)
PER_USER = limits.Limit("invitations by one person in a day", 200, _DAY)
PER_ADDRESS = limits.Limit("invitations to one address in a day", 10, _DAY)
PER_INVITATION = limits.Limit("sending an invitation again", 3, timedelta(hours=1))


async def invite(
    ctx: Context, organization_id: str, *, email: str, role: OrganizationRole, access_all_projects: bool = True
) -> Invitation:
    """Invite whoever has the address to the organization, with a role not above one's own.

    :raises InvalidAddress: not one e-mail address. :raises RoleTooLow: the role is above the caller's.
    :raises AlreadyInvited: `resend` instead. :raises TooManyInvitations, TooOften: enough for now.
    """
    organization, place = await organization_place(ctx, "members:write", organization_id=organization_id)
    rules.check_place_change(place.role if place else OrganizationRole.OWNER, before=None, after=role)
    made = _new(ctx, organization.id, None, email, role.value, access_all_projects)
    return await _create(ctx, made, organization, None)


async def invite_to_project(ctx: Context, project_id: str, *, email: str, role: Role) -> Invitation:
    """Invite whoever has the address to one project. Errors as `invite`."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    _, own = await membership(ctx, project.id)
    rules.check_role_change(own, before=None, after=role)
    async with ctx.reading() as connection:
        organization = await store.organizations.organization(connection, project.organization_id)
    assert organization is not None, "an organization with projects cannot be deleted"
    made = _new(ctx, organization.id, project, email, role.value, False)
    return await _create(ctx, made, organization, project)


def _new(
    ctx: Context, organization_id: OrganizationId, project: Project | None, email: str, role: str, access: bool
) -> Invitation:
    if ctx.actor.user_id is None:
        raise Forbidden("Only a user invites people.")
    return Invitation(
        id=InvitationId(ids.new(ids.INVITATION, ctx.now)),
        organization_id=organization_id,
        project_id=project.id if project else None,
        email=addresses.email_key(email),
        role=role,
        access_all_projects=access,
        invited_by=ctx.actor.user_id,
        state=InvitationState.PENDING,
        expires_at=ctx.now + rules.INVITATION_LIFE,
        sent_at=ctx.now,
        created_at=ctx.now,
    )


async def _create(ctx: Context, made: Invitation, organization: Organization, project: Project | None) -> Invitation:
    await limits.take(ctx, PER_USER, made.invited_by)
    await limits.take(ctx, PER_ADDRESS, made.email)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with ctx.transaction() as tx:
        await store.organizations.locked(tx, organization.id)  # so that the count below holds
        same = await store.invitations.pending_for(
            tx, organization.id, ctx.now, project_id=made.project_id, email=made.email
        )
        if same is not None:
            raise AlreadyInvited("The address has an invitation already.", hint="Send it again.", field="email")
        if await store.invitations.count_pending(tx, organization.id, ctx.now) >= rules.INVITATIONS_PENDING_MAX:
            raise TooManyInvitations(f"{rules.INVITATIONS_PENDING_MAX} invitations wait for an answer.")
        await store.invitations.insert(tx, made, _hash(secret))
        await _send(ctx, made, organization, project, secret)
        after = {"email": rules.masked_email(made.email), "role": made.role}
        await _record(ctx, "invitation.create", made, None, after)
    return made


async def _send(
    ctx: Context, made: Invitation, organization: Organization, project: Project | None, secret: str
) -> None:
    inviter = (await auth.users_by_id(ctx, [made.invited_by]))[made.invited_by]
    message = messages.Message(
        messages.Channel.EMAIL,
        made.email,
        "invitation",
        {
            "inviter": inviter.display_name or inviter.username,
            "organization": f"{project.name} ({organization.name})" if project else organization.name,
            "role": made.role.lower(),
            "days": str(rules.INVITATION_LIFE.days),
            "link": f"{ctx.platform.url(ctx.settings.domain)}/invitations/{secret}",
        },
        life=rules.INVITATION_LIFE,
    )
    await outbox.enqueue(ctx, message)


# --- for those who invite -------------------------------------------------------------------------------------------


async def list_invitations(
    ctx: Context, organization_id: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[Invitation]:
    """A page of the organization's invitations that can still be accepted (to its projects, too), oldest first."""
    organization = await authorize_organization(ctx, "members:write", organization_id=organization_id)
    async with ctx.reading() as connection:
        return await store.invitations.pending(
            connection, organization.id, ctx.now, after=_cursor(after), limit=max(1, min(first, PAGE_MAX + 1))
        )


async def list_project_invitations(
    ctx: Context, project_id: str, *, first: int = PAGE_MAX, after: str | None = None
) -> list[Invitation]:
    """As `list_invitations`, those to one project."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    async with ctx.reading() as connection:
        return await store.invitations.pending(
            connection,
            project.organization_id,
            ctx.now,
            project_id=project.id,
            after=_cursor(after),
            limit=max(1, min(first, PAGE_MAX + 1)),
        )


async def revoke_invitation(ctx: Context, invitation_id: str) -> Invitation:
    """Its link is of no use any more. :raises InvitationNotFound: hidden, or does not wait for an answer."""
    async with ctx.transaction() as tx:
        found = await _own(ctx, invitation_id)
        if not await store.invitations.set_state(tx, found.id, InvitationState.REVOKED):
            raise _unknown(invitation_id)
        before = {"email": rules.masked_email(found.email), "role": found.role}
        await _record(ctx, "invitation.revoke", found, before, None)
    return replace(found, state=InvitationState.REVOKED)


async def resend_invitation(ctx: Context, invitation_id: str) -> Invitation:
    """Send a new link, good for another seven days; the old one is of no use any more."""
    await limits.take(ctx, PER_INVITATION, (await _own(ctx, invitation_id)).id)
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with ctx.transaction() as tx:
        found = await _own(ctx, invitation_id)
        renewed = replace(found, sent_at=ctx.now, expires_at=ctx.now + rules.INVITATION_LIFE)
        organization = await store.organizations.organization(tx, found.organization_id)
        project = await store.projects.project(tx, found.project_id) if found.project_id else None
        if organization is None:
            raise _unknown(invitation_id)
        await store.invitations.renew(tx, renewed, _hash(secret))
        await _send(ctx, renewed, organization, project, secret)
        await _record(ctx, "invitation.resend", found, None, {"email": rules.masked_email(found.email)})
    return renewed


async def _own(ctx: Context, invitation_id: str) -> Invitation:
    """A pending invitation that the caller may manage; who may not even see it learns nothing."""
    await auth.require_signed_in(ctx)
    async with ctx.reading() as connection:
        known = ids.is_id(ids.INVITATION, invitation_id)
        found = await store.invitations.invitation(connection, InvitationId(invitation_id)) if known else None
    if found is None:
        raise _unknown(invitation_id)
    try:
        await _authorize_for(ctx, found)
    except Forbidden:
        raise
    except Error as error:
        raise _unknown(invitation_id) from error
    if found.state is not InvitationState.PENDING or found.expires_at <= ctx.now:
        raise _unknown(invitation_id)
    return found


async def _authorize_for(ctx: Context, found: Invitation) -> None:
    """:raises Error: the caller may not give the invitation's role."""
    if found.project_id is None:
        _, place = await organization_place(ctx, "members:write", organization_id=found.organization_id)
        own = place.role if place else OrganizationRole.OWNER
        rules.check_place_change(own, before=None, after=OrganizationRole(found.role))
        return
    project = await authorize(ctx, "members:write", project_id=found.project_id)
    if project.organization_id != found.organization_id:
        raise InvitationNotFound("The project was moved.")
    rules.check_role_change((await membership(ctx, project.id))[1], before=None, after=Role(found.role))


# --- for those who are invited --------------------------------------------------------------------------------------


async def read_invitation(ctx: Context, secret: str) -> ShownInvitation:
    """What the link shows, to whoever has it.

    :raises InvitationOver: unknown, accepted, revoked, expired: one answer.
    """
    async with ctx.reading() as connection:
        found = await store.invitations.by_token(connection, _hash(secret)) if _is_secret(secret) else None
        if found is None or found.state is not InvitationState.PENDING or found.expires_at <= ctx.now:
            raise _over()
        organization = await store.organizations.organization(connection, found.organization_id)
        project = await store.projects.project(connection, found.project_id) if found.project_id else None
    if organization is None or (project is not None and project.deleted_at is not None):
        raise _over()
    inviter = (await auth.users_by_id(ctx.acting_as(SYSTEM), [found.invited_by])).get(found.invited_by)
    return ShownInvitation(
        organization=organization.name,
        project=project.name if project else None,
        role=found.role,
        invited_by=(inviter.display_name or inviter.username) if inviter else "",
        masked_email=rules.masked_email(found.email),
        expires_at=found.expires_at,
    )


async def accept_invitation(ctx: Context, secret: str) -> Invitation:
    """The caller, a person who has proven the invited address, becomes a member. Once, also when asked twice at once.

    :raises InvitationOver: as `read_invitation`, or the inviter may not give this role any more.
    :raises InvitedAddressDiffers: the caller's address is another, or none. :raises AlreadyMember, TooManyMembers.
    """
    user_id = await auth.require_person(ctx)
    user = (await auth.users_by_id(ctx, [user_id]))[user_id]
    async with ctx.transaction() as tx:
        found = await store.invitations.by_token(tx, _hash(secret)) if _is_secret(secret) else None
        if found is None:
            raise _over()
        organization = await store.organizations.locked(tx, found.organization_id)
        found = await store.invitations.by_token(tx, _hash(secret), lock=True)  # as it is now, under the lock
        if found is None or organization is None:
            raise _over()
        if found.state is not InvitationState.PENDING or found.expires_at <= ctx.now:
            raise _over()
        if user.email is None or addresses.email_key(user.email) != found.email:
            raise InvitedAddressDiffers(
                "The invitation is for another e-mail address.",
                hint=f"Sign in with the address {rules.masked_email(found.email)}, then open the link again.",
            )
        await _check_inviter(ctx, found)
        await _join(ctx, found, user_id)
        await store.invitations.set_state(tx, found.id, InvitationState.ACCEPTED)
        await _record(ctx, "invitation.accept", found, None, {"userId": user_id, "role": found.role})
    return replace(found, state=InvitationState.ACCEPTED)


async def _check_inviter(ctx: Context, found: Invitation) -> None:
    """An invitation is worth what its maker may do now: who was removed or demoted lets nobody in."""
    actor = replace(SYSTEM, kind=ActorKind.USER, user_id=found.invited_by)
    try:
        await _authorize_for(ctx.acting_as(actor), found)
    except Error as error:
        raise _over() from error


async def _join(ctx: Context, found: Invitation, user_id: UserId) -> None:
    async with ctx.transaction() as tx:
        if found.project_id is None:
            if len(await store.organizations.locked_members(tx, found.organization_id)) >= rules.MEMBERS_MAX:
                raise TooManyMembers(f"An organization has at most {rules.MEMBERS_MAX} members.")
            place = OrganizationMember(
                found.organization_id, user_id, OrganizationRole(found.role), found.access_all_projects, ctx.now
            )
            joined = await store.organizations.insert_member(tx, place)
        else:
            if len(await store.members.locked(tx, found.project_id)) >= rules.MEMBERS_MAX:
                raise TooManyMembers(f"A project has at most {rules.MEMBERS_MAX} members.")
            joined = await store.members.insert(tx, Member(found.project_id, user_id, Role(found.role), ctx.now))
            data = {"userId": user_id, "before": None, "after": {"role": found.role}}
            topic = f"project:{found.project_id}"
            await events.publish(ctx, project_id=found.project_id, topic=topic, kind="member.add", data=data)
    if not joined:
        raise AlreadyMember("You are a member already.")


async def expire_invitations(ctx: Context) -> int:
    """Note which invitations are over; run by the worker's schedule as the platform itself. Returns how many."""
    if ctx.actor.kind is not ActorKind.SYSTEM:
        raise Forbidden("Only the platform itself looks after invitations.")
    async with ctx.transaction() as tx:
        return await store.invitations.expire(tx, ctx.now)


# --- shared ---------------------------------------------------------------------------------------------------------


def _is_secret(text: str) -> bool:
    return 0 < len(text) <= _SECRET_LENGTH_MAX and text.isascii()


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()  # of 256 random bits: one round is enough


def _cursor(after: str | None) -> InvitationId | None:
    ids.check_cursor(ids.INVITATION, after)
    return InvitationId(after) if after else None


def _unknown(invitation_id: str) -> InvitationNotFound:
    return InvitationNotFound(f"There is no invitation {invitation_id[:60]!r} that waits for an answer.")


def _over() -> InvitationOver:
    return InvitationOver("This invitation does not work any more.", hint="Ask for another one.")


async def _record(
    ctx: Context,
    action: str,
    found: Invitation,
    before: dict[str, str] | None,
    after: dict[str, str] | None,
) -> None:
    chain = f"project:{found.project_id}" if found.project_id else f"organization:{found.organization_id}"
    await audit.record(ctx, chain, action, found.id, before, after)
