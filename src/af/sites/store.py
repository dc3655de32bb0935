"""Sites and deployments: every SQL statement that touches them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from af.core.db import Timestamp, metadata
from af.core.ids import DeploymentId, ProjectId, SiteId
from af.sites.errors import SlugTaken
from af.sites.models import Deployment, DeploymentSource, DeploymentStatus, RejectedRule, Routes, Site

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("current_deployment_id", sa.Text),
    sa.Column("created_by", sa.Text),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Index(None, "project_id", "id"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("site_id", sa.Text, sa.ForeignKey("sites.id"), nullable=False),
    sa.Column("project_id", sa.Text, nullable=False),
    sa.Column("cid", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("production", sa.Boolean, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("files", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("routes", sa.JSON, nullable=False),
    sa.Column("rejected", sa.JSON, nullable=False),
    sa.Column("error_code", sa.Text, nullable=False),
    sa.Column("error_message", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("created_by", sa.Text),
    sa.Column("created_at", Timestamp(), nullable=False),
    sa.Column("updated_at", Timestamp(), nullable=False),
    sa.Column("ready_at", Timestamp()),
    sa.Column("restores", sa.Text),
    sa.Column("rolled_back_from", sa.Text),
    sa.Index(None, "site_id", "id"),
    sa.Index(
        "ix_deployments_unfinished",
        "id",
        sqlite_where=sa.text("status IN ('PENDING', 'BUILDING', 'UPLOADING')"),
        postgresql_where=sa.text("status IN ('PENDING', 'BUILDING', 'UPLOADING')"),
    ),
)

_UNFINISHED = deployments.c.status.in_(sa.text("'PENDING', 'BUILDING', 'UPLOADING'"))
_RULE_COLUMNS = ("routes", "rejected")
_DEPLOYMENT = tuple(column for column in deployments.c if column.name not in _RULE_COLUMNS)
"""Everything but the rules, which may be long and are asked for by themselves (`routes_of`)."""


# --- sites ---------------------------------------------------------------------------------------------------------


async def insert_site(connection: AsyncConnection, site: Site) -> None:
    """:raises SlugTaken: another site has the slug."""
    try:
        await connection.execute(sa.insert(sites).values(_site_values(site)))
    except IntegrityError as error:
        raise _slug_taken(site.slug) from error


async def update_site(connection: AsyncConnection, site: Site) -> None:
    """:raises SlugTaken: another site has the slug."""
    try:
        await connection.execute(sa.update(sites).where(sites.c.id == site.id).values(_site_values(site)))
    except IntegrityError as error:
        raise _slug_taken(site.slug) from error


async def set_current(connection: AsyncConnection, site_id: SiteId, deployment_id: DeploymentId, now: datetime) -> None:
    await connection.execute(
        sa.update(sites).where(sites.c.id == site_id).values(current_deployment_id=deployment_id, updated_at=now)
    )


async def delete_site(connection: AsyncConnection, site_id: SiteId) -> None:
    """Delete the site and all its deployments."""
    await connection.execute(sa.delete(deployments).where(deployments.c.site_id == site_id))
    await connection.execute(sa.delete(sites).where(sites.c.id == site_id))


async def site(connection: AsyncConnection, site_id: str) -> Site | None:
    row = (await connection.execute(sa.select(sites).where(sites.c.id == site_id))).one_or_none()
    return _site(row) if row else None


async def locked_site(connection: AsyncConnection, site_id: SiteId) -> Site | None:
    """The site, which nobody else changes until this transaction ends. Always the first lock that a change takes."""
    query = sa.select(sites).where(sites.c.id == site_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return _site(row) if row else None


async def site_by_slug(connection: AsyncConnection, slug: str) -> Site | None:
    row = (await connection.execute(sa.select(sites).where(sites.c.slug == slug))).one_or_none()
    return _site(row) if row else None


async def sites_by_id(connection: AsyncConnection, site_ids: Iterable[SiteId]) -> dict[SiteId, Site]:
    rows = await connection.execute(sa.select(sites).where(sites.c.id.in_(list(site_ids))))
    return {found.id: found for found in map(_site, rows)}


async def sites_of_project(
    connection: AsyncConnection, project_id: ProjectId, *, after: str | None, limit: int
) -> list[Site]:
    """Newest first; ``after`` is the last id of the page before."""
    query = sa.select(sites).where(sites.c.project_id == project_id).order_by(sites.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(sites.c.id < after)
    return [_site(row) for row in await connection.execute(query)]


async def sites_of_projects(
    connection: AsyncConnection, project_ids: Sequence[ProjectId], *, limit: int
) -> dict[ProjectId, list[Site]]:
    """The newest ``limit`` sites of each project, in one query."""
    rank = sa.func.row_number().over(partition_by=sites.c.project_id, order_by=sites.c.id.desc()).label("rank")
    ranked = sa.select(sites, rank).where(sites.c.project_id.in_(project_ids)).subquery()
    query = sa.select(ranked).where(ranked.c.rank <= limit).order_by(ranked.c.id.desc())
    found: dict[ProjectId, list[Site]] = {project_id: [] for project_id in project_ids}
    for row in await connection.execute(query):
        found[ProjectId(row.project_id)].append(_site(row))
    return found


async def projects_with_sites(connection: AsyncConnection, project_ids: Iterable[ProjectId]) -> list[ProjectId]:
    """Those of the projects that have a site."""
    query = sa.select(sites.c.project_id).where(sites.c.project_id.in_(list(project_ids))).distinct()
    return [ProjectId(row.project_id) for row in await connection.execute(query)]


async def count_sites(connection: AsyncConnection, project_id: ProjectId) -> int:
    query = sa.select(sa.func.count()).select_from(sites).where(sites.c.project_id == project_id)
    return (await connection.execute(query)).scalar_one()


# --- deployments ---------------------------------------------------------------------------------------------------


async def insert_deployment(connection: AsyncConnection, deployment: Deployment, routes: Routes) -> None:
    values = _deployment_values(deployment) | _routes_values(routes)
    await connection.execute(sa.insert(deployments).values(values))


async def update_deployment(connection: AsyncConnection, deployment: Deployment, routes: Routes | None = None) -> None:
    values = _deployment_values(deployment) | (_routes_values(routes) if routes else {})
    await connection.execute(sa.update(deployments).where(deployments.c.id == deployment.id).values(values))


async def deployment(connection: AsyncConnection, deployment_id: str) -> Deployment | None:
    query = sa.select(*_DEPLOYMENT).where(deployments.c.id == deployment_id)
    row = (await connection.execute(query)).one_or_none()
    return _deployment(row) if row else None


async def locked_deployment(connection: AsyncConnection, deployment_id: DeploymentId) -> Deployment | None:
    query = sa.select(*_DEPLOYMENT).where(deployments.c.id == deployment_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return _deployment(row) if row else None


async def deployments_by_id(
    connection: AsyncConnection, deployment_ids: Iterable[DeploymentId]
) -> dict[DeploymentId, Deployment]:
    query = sa.select(*_DEPLOYMENT).where(deployments.c.id.in_(list(deployment_ids)))
    return {found.id: found for found in map(_deployment, await connection.execute(query))}


async def deployments_of_site(
    connection: AsyncConnection, site_id: SiteId, *, after: str | None, limit: int
) -> list[Deployment]:
    """Newest first; ``after`` is the last id of the page before."""
    query = sa.select(*_DEPLOYMENT).where(deployments.c.site_id == site_id)
    query = query.order_by(deployments.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(deployments.c.id < after)
    return [_deployment(row) for row in await connection.execute(query)]


async def deployments_of_sites(
    connection: AsyncConnection, site_ids: Sequence[SiteId], *, limit: int
) -> dict[SiteId, list[Deployment]]:
    """The newest ``limit`` deployments of each site, in one query."""
    found: dict[SiteId, list[Deployment]] = {site_id: [] for site_id in site_ids}
    for row in await connection.execute(_LATEST, {"site_ids": list(site_ids), "most": limit}):
        deployment = _deployment(row)
        found[deployment.site_id].append(deployment)
    return found


def _latest() -> sa.Select[Any]:
    rank = sa.func.row_number().over(partition_by=deployments.c.site_id, order_by=deployments.c.id.desc()).label("rank")
    wanted = deployments.c.site_id.in_(sa.bindparam("site_ids", expanding=True))
    ranked = sa.select(*_DEPLOYMENT, rank).where(wanted).subquery()
    return sa.select(ranked).where(ranked.c.rank <= sa.bindparam("most")).order_by(ranked.c.id.desc())


_LATEST = _latest()  # built once: building costs as much as running it


async def deployment_ids(connection: AsyncConnection, site_id: SiteId) -> list[DeploymentId]:
    query = sa.select(deployments.c.id).where(deployments.c.site_id == site_id)
    return [DeploymentId(row.id) for row in await connection.execute(query)]


async def previous_production(connection: AsyncConnection, site_id: SiteId) -> Deployment | None:
    """The newest ready production deployment of a site with another content than its current one; `None` also while
    nothing is current."""
    current = (
        sa.select(deployments.c.cid)
        .join(sites, sites.c.current_deployment_id == deployments.c.id)
        .where(sites.c.id == site_id)
        .correlate(None)
        .scalar_subquery()
    )
    query = (
        sa.select(*_DEPLOYMENT)
        .where(
            deployments.c.site_id == site_id,
            deployments.c.production,
            deployments.c.status == DeploymentStatus.SUCCESS.value,
            deployments.c.cid != current,
        )
        .order_by(deployments.c.id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return _deployment(row) if row else None


async def unfinished(connection: AsyncConnection, limit: int) -> list[DeploymentId]:
    """The oldest deployments that are not in a final state."""
    query = sa.select(deployments.c.id).where(_UNFINISHED).order_by(deployments.c.id).limit(limit)
    return [DeploymentId(row.id) for row in await connection.execute(query)]


async def count_unfinished(connection: AsyncConnection, site_id: SiteId) -> int:
    query = sa.select(sa.func.count()).select_from(deployments).where(_UNFINISHED, deployments.c.site_id == site_id)
    return (await connection.execute(query)).scalar_one()


async def routes_of(connection: AsyncConnection, deployment_ids: Iterable[DeploymentId]) -> dict[DeploymentId, Routes]:
    query = sa.select(deployments.c.id, deployments.c.routes, deployments.c.rejected).where(
        deployments.c.id.in_(list(deployment_ids))
    )
    return {
        DeploymentId(row.id): Routes(row.routes, tuple(RejectedRule(**rule) for rule in row.rejected))
        for row in await connection.execute(query)
    }


# --- rows ----------------------------------------------------------------------------------------------------------


def _slug_taken(slug: str) -> SlugTaken:
    return SlugTaken(f"The slug {slug} is taken.", hint="Choose another slug.", field="slug")


def _site_values(site: Site) -> dict[str, Any]:
    return {column.name: getattr(site, column.name) for column in sites.c}


def _site(row: Any) -> Site:
    """``row`` begins with the columns of `sites`, which are the fields in their order (see `_deployment`)."""
    return Site(*row[: len(sites.c)])


def _deployment_values(deployment: Deployment) -> dict[str, Any]:
    values = {column.name: getattr(deployment, column.name) for column in _DEPLOYMENT}
    return values | {"status": deployment.status.value, "source": deployment.source.value}


def _routes_values(routes: Routes) -> dict[str, Any]:
    rejected = [
        {"file": rule.file, "line": rule.line, "text": rule.text, "reason": rule.reason} for rule in routes.rejected
    ]
    return {"routes": dict(routes.routes), "rejected": rejected}


def _deployment(row: Any) -> Deployment:
    """``row`` begins with `_DEPLOYMENT`, which are the fields in their order: read by name they cost three times as
    much, and lists have hundreds of rows."""
    values = list(row[: len(_DEPLOYMENT)])
    values[_STATUS_AT] = _STATUSES[values[_STATUS_AT]]
    values[_SOURCE_AT] = _SOURCES[values[_SOURCE_AT]]
    return Deployment(*values)


_NAMES = [column.name for column in _DEPLOYMENT]
_STATUS_AT, _SOURCE_AT = _NAMES.index("status"), _NAMES.index("source")
_STATUSES = {status.value: status for status in DeploymentStatus}
_SOURCES = {source.value: source for source in DeploymentSource}
assert [field.name for field in fields(Deployment)] == _NAMES
assert [column.name for column in sites.c] == [field.name for field in fields(Site)]
