"""Programs in a project: service accounts with their tokens, and the trust rules by which pipelines act as one.

A service account is a user without a way to sign in, a member of one project. Admins of the project make its tokens.
Only persons do: a token that could make accounts and rules would make itself a way back in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from af import auth
from af.core.context import SYSTEM, Context
from af.core.ids import ProjectId, UserId
from af.projects import rules, store
from af.projects.errors import ServiceAccountNotFound, TooManyMembers
from af.projects.models import Member, Role
from af.projects.service.access import audit, authorize, membership


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A program's place in a project."""

    user: auth.User
    project_id: ProjectId
    role: Role
    created_at: datetime

    @property
    def id(self) -> UserId:
        return self.user.id


async def service_accounts(ctx: Context, project_id: str) -> list[ServiceAccount]:
    """The service accounts of a project, oldest first; for those who manage them."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    async with ctx.reading() as connection:
        members = await store.members.members_of(connection, project.id, after=None, limit=rules.MEMBERS_MAX)
    return await _of_members(ctx, members)


async def create_service_account(ctx: Context, project_id: str, name: str, role: Role) -> ServiceAccount:
    """A new program in the project, with ``role``, which is not above the caller's.

    :raises RoleTooLow: an owner's place, by somebody who is none. :raises PersonRequired: an access token asks.
    """
    await auth.require_person(ctx)
    project = await authorize(ctx, "members:write", project_id=project_id)
    _, own = await membership(ctx, project.id)
    rules.check_role_change(own, before=None, after=role)
    async with ctx.transaction() as tx:
        if len(await store.members.locked(tx, project.id)) >= rules.MEMBERS_MAX:
            raise TooManyMembers(f"A project has at most {rules.MEMBERS_MAX} members.")
        user = await auth.create_user(
            ctx.acting_as(SYSTEM), name, kind=auth.UserKind.SERVICE, display_name=rules.check_name(name)
        )
        member = Member(project.id, user.id, role, ctx.now)
        await store.members.insert(tx, member)
        after = {"name": user.username, "role": role.value}
        await audit(ctx, "service_account.create", project.id, user.id, None, after)
    return ServiceAccount(user, project.id, role, ctx.now)


async def delete_service_account(ctx: Context, project_id: str, user_id: str) -> ServiceAccount:
    """The account's tokens for the project and its trust rules end with it.

    :raises ServiceAccountNotFound: the project has no such one.
    """
    project = await authorize(ctx, "members:write", project_id=project_id)
    found = await _account(ctx, project.id, user_id)
    _, own = await membership(ctx, project.id)
    rules.check_role_change(own, before=found.role, after=None)
    async with ctx.transaction() as tx:
        await store.members.delete(tx, project.id, found.id)
        await auth.machines.end_in_project(ctx, found.id, project.id)
        before = {"name": found.user.username, "role": found.role.value}
        await audit(ctx, "service_account.delete", project.id, found.id, before, None)
    return found


async def create_service_token(
    ctx: Context,
    project_id: str,
    user_id: str,
    name: str,
    *,
    scopes: Iterable[str] | None = None,
    expires_at: datetime | None = None,
) -> auth.CreatedToken:
    """A token of the service account, limited to its project. Errors as `af.auth.create_token`.

    :raises PersonRequired: an access token asks.
    """
    await auth.require_person(ctx)
    project = await authorize(ctx, "members:write", project_id=project_id)
    found = await _account(ctx, project.id, user_id)
    async with ctx.transaction():
        made = await auth.create_token(
            ctx.acting_as(SYSTEM), name, scopes=scopes, project_id=project.id, expires_at=expires_at, user_id=found.id
        )
        after = {"name": made.token.name, "scopes": sorted(made.token.scopes or ("all",)), "account": found.id}
        await audit(ctx, "token.create", project.id, made.token.id, None, after)
    return made


async def service_tokens(ctx: Context, account: ServiceAccount) -> list[auth.AccessToken]:
    """The account's tokens that are not revoked, newest first (at most 100)."""
    await authorize(ctx, "members:write", project_id=account.project_id)
    return await auth.machines.tokens_of(ctx, account.id)


async def revoke_service_token(ctx: Context, project_id: str, user_id: str, token_id: str) -> auth.AccessToken:
    """End one of the account's tokens. :raises TokenNotFound: it has none with this id."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    found = await _account(ctx, project.id, user_id)
    async with ctx.transaction():
        ended = await auth.machines.revoke_token(ctx, found.id, token_id)
        await audit(ctx, "token.revoke", project.id, ended.id, {"name": ended.name, "account": found.id}, None)
    return ended


# --- trust rules ----------------------------------------------------------------------------------------------------


async def trust_rules(ctx: Context, project_id: str) -> list[auth.TrustRule]:
    """Which pipelines may act in the project."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    return await auth.machines.trust_rules(ctx, project.id)


async def create_trust_rule(
    ctx: Context,
    project_id: str,
    *,
    service_account: str,
    name: str,
    issuer: str,
    subject: str,
    audience: str | None = None,
    claims: Mapping[str, str] | None = None,
    scopes: Sequence[str] | None = None,
    life: timedelta = timedelta(hours=1),
) -> auth.TrustRule:
    """Errors as `af.auth.machines.add_trust_rule`. :raises PersonRequired: an access token asks."""
    await auth.require_person(ctx)
    project = await authorize(ctx, "members:write", project_id=project_id)
    account = await _account(ctx, project.id, service_account)
    async with ctx.transaction():
        rule = await auth.machines.add_trust_rule(
            ctx,
            project_id=project.id,
            user_id=account.id,
            name=name,
            issuer=issuer,
            subject=subject,
            audience=audience,
            claims=claims,
            scopes=scopes,
            life=life,
        )
        await audit(ctx, "trust_rule.create", project.id, rule.id, None, _shown(rule))
    return rule


async def delete_trust_rule(ctx: Context, project_id: str, rule_id: str) -> auth.TrustRule:
    """The tokens that it gave end, too. :raises TrustRuleNotFound: the project has no such rule."""
    project = await authorize(ctx, "members:write", project_id=project_id)
    async with ctx.transaction():
        rule = await auth.machines.remove_trust_rule(ctx, project.id, rule_id)
        await audit(ctx, "trust_rule.delete", project.id, rule.id, _shown(rule), None)
    return rule


def _shown(rule: auth.TrustRule) -> dict[str, object]:
    return {
        "name": rule.name,
        "issuer": rule.issuer,
        "subject": rule.subject,
        "audience": rule.audience,
        "claims": dict(rule.claims),
        "scopes": sorted(rule.scopes or ("all",)),
        "account": rule.user_id,
    }


async def _account(ctx: Context, project_id: ProjectId, user_id: str) -> ServiceAccount:
    async with ctx.reading() as connection:
        member = await store.members.one(connection, project_id, UserId(user_id))
    found = [] if member is None else await _of_members(ctx, [member])
    if not found:
        raise ServiceAccountNotFound(f"The project has no service account {user_id[:60]!r}.")
    return found[0]


async def _of_members(ctx: Context, members: Sequence[Member]) -> list[ServiceAccount]:
    """Those of the members that are programs."""
    users = await auth.users_by_id(ctx, [member.user_id for member in members])
    return [
        ServiceAccount(user, member.project_id, member.role, member.created_at)
        for member in members
        if (user := users.get(member.user_id)) is not None and user.kind is auth.UserKind.SERVICE
    ]
