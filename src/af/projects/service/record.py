"""The audit log, for those who may read it: a project's and an organization's for their admins, one's own for oneself,
the platform's for its operator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from af import auth
from af.core import audit
from af.core.audit import AuditEntry, Filter, Verification
from af.core.context import Context
from af.core.errors import Forbidden
from af.projects.service.access import authorize, authorize_organization

PAGE_MAX = audit.PAGE_MAX


async def list_audit(
    ctx: Context,
    project_id: str,
    *,
    wanted: Filter = audit.EVERYTHING,
    first: int = PAGE_MAX,
    after: int | None = None,
) -> list[AuditEntry]:
    """A page of a project's audit log, newest first; ``after`` is the last number of the page before."""
    return await audit.entries(ctx, await project_chain(ctx, project_id), wanted, after=after, limit=first)


async def list_organization_audit(
    ctx: Context,
    organization_id: str,
    *,
    wanted: Filter = audit.EVERYTHING,
    first: int = PAGE_MAX,
    after: int | None = None,
) -> list[AuditEntry]:
    """As `list_audit`, an organization's."""
    return await audit.entries(ctx, await organization_chain(ctx, organization_id), wanted, after=after, limit=first)


async def list_own_audit(
    ctx: Context, *, wanted: Filter = audit.EVERYTHING, first: int = PAGE_MAX, after: int | None = None
) -> list[AuditEntry]:
    """As `list_audit`, what happened to the caller's own account."""
    return await audit.entries(ctx, await own_chain(ctx), wanted, after=after, limit=first)


async def verify_audit(ctx: Context, project_id: str, *, after: int = 0) -> Verification:
    """Whether the project's audit log is as it was written, from the entry behind ``after`` on (`audit.verify`)."""
    return await audit.verify(ctx, await project_chain(ctx, project_id), after=after)


async def verify_organization_audit(ctx: Context, organization_id: str, *, after: int = 0) -> Verification:
    """As `verify_audit`, an organization's."""
    return await audit.verify(ctx, await organization_chain(ctx, organization_id), after=after)


async def project_chain(ctx: Context, project_id: str) -> str:
    """The chain, for whoever may read it."""
    return f"project:{(await authorize(ctx, 'audit:read', project_id=project_id)).id}"


async def organization_chain(ctx: Context, organization_id: str) -> str:
    """The chain, for whoever may read it."""
    return f"organization:{(await authorize_organization(ctx, 'audit:read', organization_id=organization_id)).id}"


async def own_chain(ctx: Context) -> str:
    """The chain of the caller's own account; a token that is limited to a project does not see it."""
    await auth.require_signed_in(ctx)
    auth.require_scope(ctx.actor.scopes, "audit:read")
    if ctx.actor.user_id is None or ctx.actor.project_id is not None:
        raise Forbidden("Only a user has an account, and a token that is limited to a project does not see it.")
    return f"user:{ctx.actor.user_id}"


def every_entry(ctx: Context, chain: str, wanted: Filter) -> AsyncGenerator[Sequence[AuditEntry], None]:
    """All entries of a chain that one of the functions above gave, oldest first, in batches."""
    return audit.every_entry(ctx, chain, wanted)
