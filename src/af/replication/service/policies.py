"""Policies: which providers are to have a copy of what is live."""

from __future__ import annotations

from collections.abc import Sequence

from af import domains, projects
from af.core.context import SYSTEM, Context
from af.core.ids import SiteId
from af.replication import rules, store
from af.replication.errors import PolicyInvalid, PolicyNotFound
from af.replication.models import Policy
from af.replication.service.access import READ, SPEND, providers
from af.replication.service.copies import align


async def set_policy(ctx: Context, project_id: str, names: Sequence[str], *, site_id: str | None = None) -> Policy:
    """Keep copies of what is live at exactly these providers: of one site, or of the project's pins and all of its
    sites. What its providers had before and these do not is let go.

    :raises PolicyInvalid, ProviderUnknown, ProviderNotConfigured, ProviderClosed:
    """
    project = await projects.authorize(ctx, SPEND, project_id=project_id)
    chosen = rules.checked_providers(names)
    for name in chosen:
        providers(ctx).get(name)
    if site_id is not None and site_id not in {entry.site_id for entry in await domains.live(ctx, project.id)}:
        raise PolicyInvalid(
            "This site shows nothing yet, or is not one of the project's.", hint="Deploy it first.", field="site"
        )
    policy = Policy(
        project_id=project.id,
        site_id=None if site_id is None else SiteId(site_id),
        providers=chosen,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        await store.put_policy(tx, policy)
        await align(ctx.acting_as(SYSTEM), project.id)
        await projects.audit(
            ctx, "replication.set", project.id, site_id or project.id, None, {"providers": ",".join(chosen)}
        )
    return policy


async def delete_policy(ctx: Context, project_id: str, *, site_id: str | None = None) -> None:
    """Copies that no other policy wants are let go. :raises PolicyNotFound:"""
    project = await projects.authorize(ctx, SPEND, project_id=project_id)
    async with ctx.transaction() as tx:
        if not await store.delete_policy(tx, project.id, site_id):
            raise PolicyNotFound("There is no such replication policy.")
        await align(ctx.acting_as(SYSTEM), project.id)
        await projects.audit(ctx, "replication.delete", project.id, site_id or project.id, None, None)


async def list_policies(ctx: Context, project_id: str) -> list[Policy]:
    """The project's own first, then those of its sites."""
    project = await projects.authorize(ctx, READ, project_id=project_id)
    async with ctx.reading() as connection:
        return await store.policies_of(connection, project.id)


async def list_providers(ctx: Context) -> list[tuple[str, str]]:
    """(name, what it misses) of every provider that this platform knows; nothing is missed where it can be used."""
    await projects.require_signed_in(ctx)
    known = providers(ctx)
    return [(name, "") for name in known.by_name] + sorted(known.absent.items())
