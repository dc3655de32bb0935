"""Organizations: make, list, change, delete; everybody's personal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from af import auth
from af.core import audit, ids
from af.core.context import SYSTEM, ActorKind, Context
from af.core.errors import Forbidden
from af.core.ids import OrganizationId, UserId
from af.projects import rules, store
from af.projects.errors import (
    OrganizationNotEmpty,
    OrganizationNotFound,
    OrganizationSlugTaken,
    PeopleOnly,
    PersonalOrganization,
    TooManyOrganizations,
)
from af.projects.models import Organization, OrganizationMember, OrganizationRole
from af.projects.service.access import authorize_organization

PAGE_MAX = 100
BATCH_MAX = 1_000


async def ensure_home(ctx: Context, *, user_id: UserId | None = None) -> Organization:
    """The caller's personal organization, made now if there is none; the platform itself names the person.

    Twice, also at the same time, gives the same one. :raises PeopleOnly: a service account has none.
    """
    owner = user_id if ctx.actor.kind is ActorKind.SYSTEM else ctx.actor.user_id
    await auth.require_signed_in(ctx)
    if owner is None:
        raise Forbidden("The platform itself must name the person.")
    async with ctx.reading() as connection:
        found = await store.organizations.personal(connection, owner)
    if found is not None:
        return found
    user = (await auth.users_by_id(ctx, [owner]))[owner]
    if user.kind is not auth.UserKind.PERSON:
        raise PeopleOnly("A service account has no organization of its own.")
    made = _new(ctx, user.display_name or user.username, personal_of=owner)
    async with ctx.transaction() as tx:
        for attempt in range(1, rules.SLUG_TRIES_MAX + 1):
            wanted = replace(made, slug=rules.slug_candidate(rules.slug_from_name(user.username), attempt))
            if await store.organizations.insert(tx, wanted):
                return await _complete(ctx.acting_as(SYSTEM), wanted, owner)
            found = await store.organizations.personal(tx, owner)
            if found is not None:  # another request was faster
                return found
        wanted = replace(made, slug=f"{rules.slug_from_name(user.username)[:20]}-{ids.label(made.id)}")
        assert await store.organizations.insert(tx, wanted), "random slugs are free"
        return await _complete(ctx.acting_as(SYSTEM), wanted, owner)


async def create_organization(
    ctx: Context, name: str, *, slug: str | None = None, avatar_url: str | None = None
) -> Organization:
    """A new organization with the caller as its owner. The slug is made of the name and gets an ending if taken.

    :raises OrganizationSlugTaken: a hundred have the name. :raises TooManyOrganizations: the caller owns 50.
    """
    user_id = await _person(ctx, "organizations:write")
    name = rules.check_organization_name(name)
    made = replace(_new(ctx, name), avatar_url=rules.check_avatar(avatar_url) if avatar_url else None)
    wanted = rules.slug_from_name(slug or name)
    async with ctx.transaction() as tx:
        if await store.organizations.count_owned(tx, user_id) >= rules.ORGANIZATIONS_PER_USER_MAX:
            raise TooManyOrganizations(f"You own {rules.ORGANIZATIONS_PER_USER_MAX} organizations.")
        for attempt in range(1, rules.SLUG_TRIES_MAX + 1):
            made = replace(made, slug=rules.slug_candidate(wanted, attempt))
            if await store.organizations.insert(tx, made):
                return await _complete(ctx, made, user_id)
    raise OrganizationSlugTaken(f"The slugs {wanted} to {wanted}-100 are taken.", field="name")


def _new(ctx: Context, name: str, *, personal_of: UserId | None = None) -> Organization:
    key = OrganizationId(ids.new(ids.ORGANIZATION, ctx.now))
    return Organization(key, name, "", None, personal_of, ctx.now, ctx.now, None)


async def _complete(ctx: Context, made: Organization, owner: UserId) -> Organization:
    """In the transaction that inserted it."""
    async with ctx.transaction() as tx:
        await store.organizations.insert_member(
            tx, OrganizationMember(made.id, owner, OrganizationRole.OWNER, True, ctx.now)
        )
        after = {**_settings(made), "owner": owner, "personal": made.personal_of is not None}
        await audit.record(ctx, f"organization:{made.id}", "organization.create", made.id, None, after)
    return made


async def get_organization(ctx: Context, id_or_slug: str) -> Organization:
    """:raises OrganizationNotFound: absent or hidden."""
    return await authorize_organization(ctx, "organizations:read", organization_id=id_or_slug)


async def list_organizations(
    ctx: Context, *, first: int = PAGE_MAX, after: str | None = None
) -> list[tuple[Organization, OrganizationRole]]:
    """The organizations that the caller is a member of, with its role, oldest first; the personal one is made if it is
    not there. ``after`` is the last id of the page before. A token that is limited to a project sees none."""
    await auth.require_signed_in(ctx)
    auth.require_scope(ctx.actor.scopes, "organizations:read")
    user_id = ctx.actor.user_id
    if user_id is None:
        raise Forbidden("Only a user has organizations.")
    ids.check_cursor(ids.ORGANIZATION, after)
    if ctx.actor.project_id is not None:
        return []
    await _home_of_people(ctx, user_id)
    key = OrganizationId(after) if after else None
    async with ctx.reading() as connection:
        return await store.organizations.organizations_of(
            connection, user_id, after=key, limit=max(1, min(first, PAGE_MAX + 1))
        )


async def organizations_by_id(
    ctx: Context, organization_ids: Sequence[OrganizationId]
) -> dict[OrganizationId, Organization]:
    """Those of them that the caller is a member of, in one query; for batch loaders."""
    await auth.require_signed_in(ctx)
    if not auth.covers(ctx.actor.scopes, "organizations:read") or ctx.actor.project_id is not None:
        return {}
    async with ctx.reading() as connection:
        return await store.organizations.organizations_by_id(
            connection, organization_ids[:BATCH_MAX], ctx.actor.user_id
        )


async def update_organization(
    ctx: Context, organization_id: str, *, name: str | None = None, avatar_url: str | None = None
) -> Organization:
    """Change what is given (an empty ``avatar_url`` removes it). The slug stays."""
    found = await authorize_organization(ctx, "organizations:write", organization_id=organization_id)
    async with ctx.transaction() as tx:
        before = await _locked(ctx, found)
        after = replace(
            before,
            name=before.name if name is None else rules.check_organization_name(name),
            avatar_url=before.avatar_url
            if avatar_url is None
            else (rules.check_avatar(avatar_url) if avatar_url else None),
            updated_at=ctx.now,
        )
        await store.organizations.update(tx, after)
        await audit.record(
            ctx, f"organization:{found.id}", "organization.update", found.id, _settings(before), _settings(after)
        )
    return after


async def delete_organization(ctx: Context, organization_id: str) -> Organization:
    """Hide an organization without projects for good; its slug is free. For an owner who signed in just now.

    :raises OrganizationNotEmpty: it has projects. :raises PersonalOrganization: it is somebody's own.
    :raises ReauthenticationRequired, PersonRequired: not by a token, nor long after signing in.
    """
    await auth.require_recent(ctx)
    found = await authorize_organization(ctx, "organizations:admin", organization_id=organization_id)
    if found.personal_of is not None:
        raise PersonalOrganization("A personal organization cannot be deleted.")
    async with ctx.transaction() as tx:
        before = await _locked(ctx, found)  # no project can come in from here on: that takes this lock, too
        if await store.projects.count_in(tx, found.id):
            raise OrganizationNotEmpty("The organization has projects.", hint="Delete them, or move them elsewhere.")
        slug = f"{before.slug}--{ids.label(before.id)}"  # no organization can have it: slugs contain no "--"
        await store.organizations.update(tx, replace(before, slug=slug, updated_at=ctx.now, deleted_at=ctx.now))
        await store.invitations.revoke_all(tx, organization_id=found.id)
        await audit.record(ctx, f"organization:{found.id}", "organization.delete", found.id, _settings(before), None)
    return before


async def _locked(ctx: Context, found: Organization) -> Organization:
    async with ctx.transaction() as tx:
        locked = await store.organizations.locked(tx, found.id)
    if locked is None:
        raise OrganizationNotFound(f"There is no organization {found.slug!r} any more.")
    return locked


async def _person(ctx: Context, action: str) -> UserId:
    """Whoever may own organizations: a person with a credential that is not limited to a project."""
    await auth.require_signed_in(ctx)
    auth.require_scope(ctx.actor.scopes, action)
    if ctx.actor.user_id is None:
        raise Forbidden("Only a user has organizations.")
    if ctx.actor.project_id is not None:
        raise Forbidden("A token that is limited to a project cannot make organizations.")
    user = await auth.me(ctx)
    if user is None or user.kind is not auth.UserKind.PERSON:
        raise PeopleOnly("A service account makes no organizations.")
    return ctx.actor.user_id


async def _home_of_people(ctx: Context, user_id: UserId) -> None:
    user = (await auth.users_by_id(ctx, [user_id])).get(user_id)
    if user is not None and user.kind is auth.UserKind.PERSON:
        await ensure_home(ctx)


def _settings(organization: Organization) -> dict[str, object]:
    return {"name": organization.name, "slug": organization.slug, "avatarUrl": organization.avatar_url}
