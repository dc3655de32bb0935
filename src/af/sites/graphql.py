"""The GraphQL edge of sites: what is asked becomes one service call; lists of lists go through batch loaders."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

from ariadne import MutationType, ObjectType, QueryType, SubscriptionType
from graphql import GraphQLResolveInfo

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.resolving import ctx_of, page_size
from af.names import EnsRecord, IpnsName
from af.sites import addresses, service
from af.sites.loaders import loaders
from af.sites.models import Deployment, DeploymentDiff, DeploymentStatus, Routes, Site

type_defs = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8")

SITES_DEFAULT = 100
DEPLOYMENTS_DEFAULT = 50
INNER_DEFAULT = 20
PAGE_MAX = 100
_FLEEK_FINAL = {DeploymentStatus.SUCCESS: "RELEASE_COMPLETED", DeploymentStatus.FAILED: "RELEASE_FAILED"}
_FLEEK_FINAL[DeploymentStatus.CANCELED] = "RELEASE_FAILED"  # its CLI waits for one of these two words and no other

Where = dict[str, Any]
Info = GraphQLResolveInfo

query = QueryType()
mutation = MutationType()
subscription = SubscriptionType()
site_type = ObjectType("Site")
deployment_type = ObjectType("Deployment")
project_type = ObjectType("Project")
update_type = ObjectType("DeploymentStatusUpdate")
log_type = ObjectType("DeploymentLog")
diff_type = ObjectType("DeploymentDiff")
change_type = ObjectType("DiffChange")
record_type = ObjectType("IPNSRecord")
ens_type = ObjectType("EnsRecord")


# --- queries -------------------------------------------------------------------------------------------------------


@query.field("site")
async def resolve_site(_: None, info: Info, where: Where) -> Site:
    site = await service.get(ctx_of(info), _one(where, "id", "slug"))
    loaders(info.context).prime([site])
    return site


@query.field("siteBySlug")
async def resolve_site_by_slug(_: None, info: Info, where: Where) -> Site:
    site = await service.get_by_slug(ctx_of(info), where["slug"])
    loaders(info.context).prime([site])
    return site


@query.field("sites")
async def resolve_sites(
    _: None, info: Info, where: Where | None = None, first: int | None = None, after: str | None = None
) -> dict[str, Any]:
    ctx = ctx_of(info)
    first = _page(first, SITES_DEFAULT)
    project = await projects.selected(ctx, (where or {}).get("projectId"))
    found = await service.list_sites(ctx, project.id, first=first + 1, after=after)
    page = found[:first]
    loaders(info.context).prime(page)
    loaders(info.context).known_project = project
    info_ = {"endCursor": page[-1].id if page else None, "hasNextPage": len(found) > first}
    return {"data": page, "pageInfo": info_}


@query.field("slugAvailability")
async def resolve_slug_availability(_: None, info: Info, where: Where) -> bool:
    return await service.slug_is_free(ctx_of(info), where["slug"])


@query.field("deployment")
async def resolve_deployment(_: None, info: Info, where: Where) -> Deployment:
    return await service.get_deployment(ctx_of(info), where["id"])


@query.field("deployments")
async def resolve_deployments(
    _: None, info: Info, *, first: int | None = None, after: str | None = None, **given: str
) -> list[Deployment]:
    return await service.list_deployments(
        ctx_of(info), given["siteId"], first=_page(first, DEPLOYMENTS_DEFAULT), after=after
    )


@query.field("deploymentDiff")
async def resolve_deployment_diff(_: None, info: Info, where: Where) -> DeploymentDiff:
    return await service.diff(ctx_of(info), where["from"], where["to"])


# --- mutations -----------------------------------------------------------------------------------------------------


@mutation.field("createSite")
async def resolve_create_site(_: None, info: Info, data: Where) -> Site:
    ctx = _changing(info)
    project = await projects.selected(ctx, data.get("projectId"))
    return await service.create(ctx, data["name"], slug=data.get("slug"), project_id=project.id)


@mutation.field("updateSite")
async def resolve_update_site(_: None, info: Info, where: Where, data: Where) -> Site:
    return await service.rename(_changing(info), where["id"], name=data.get("name"), slug=data.get("slug"))


@mutation.field("deleteSite")
async def resolve_delete_site(_: None, info: Info, where: Where) -> Site:
    return await service.delete(_changing(info), where["id"])


@mutation.field("createDeployment")
async def resolve_create_deployment(_: None, info: Info, data: Where) -> Deployment:
    return await service.create_deployment(
        _changing(info),
        data["siteId"],
        data["cid"],
        production=data.get("production", True) is not False,
        message=data.get("message") or "",
    )


@mutation.field("createCustomIpfsDeployment")
async def resolve_create_custom_ipfs_deployment(
    _: None, info: Info, data: Where, where: Where | None = None
) -> Deployment:
    named = [given["siteId"] for given in (where or {}, data) if given.get("siteId")]
    if len(named) != 1:
        raise InvalidInput("Name the site exactly once: data.siteId or where.siteId.", field="siteId")
    return await service.create_deployment(_changing(info), named[0], data["cid"])


@mutation.field("promoteDeployment")
async def resolve_promote_deployment(_: None, info: Info, where: Where) -> Deployment:
    return await service.promote(_changing(info), where["deploymentId"])


@mutation.field("rollbackSite")
async def resolve_rollback_site(_: None, info: Info, where: Where, data: Where | None = None) -> Deployment:
    return await service.rollback(_changing(info), where["siteId"], (data or {}).get("deploymentId"))


@mutation.field("cancelDeployment")
async def resolve_cancel_deployment(_: None, info: Info, where: Where) -> Deployment:
    return await service.cancel(_changing(info), where["deploymentId"])


@mutation.field("createIpnsRecordForSite")
async def resolve_create_name(_: None, info: Info, where: Where) -> IpnsName:
    return await service.give_name(_changing(info), where["siteId"])


# --- subscriptions -------------------------------------------------------------------------------------------------


@subscription.source("deploymentStatus")
def follow_status(_: None, info: Info, **given: str) -> AsyncGenerator[service.StatusUpdate, None]:
    return service.watch_status(ctx_of(info), given["deploymentId"])


@subscription.source("deploymentLogs")
def follow_logs(_: None, info: Info, **given: str) -> AsyncGenerator[service.LogLine, None]:
    return service.watch_logs(ctx_of(info), given["deploymentId"])


@subscription.field("deploymentStatus")
@subscription.field("deploymentLogs")
def resolve_itself(event: Any, _: Info, **__: Any) -> Any:
    return event


# --- fields of Site ------------------------------------------------------------------------------------------------


@site_type.field("url")
def resolve_site_url(site: Site, info: Info) -> str:
    return addresses.site_url(ctx_of(info), site)


@site_type.field("project")
def resolve_site_project(site: Site, info: Info) -> Any:
    return loaders(info.context).project_of(site.project_id)


@site_type.field("deployments")
def resolve_site_deployments(site: Site, info: Info, first: int | None = None) -> Awaitable[Any]:
    return loaders(info.context).latest_deployments(_page(first)).load(site.id)


@site_type.field("currentDeployment")
def resolve_site_current(site: Site, info: Info) -> Awaitable[Deployment | None] | None:
    if site.current_deployment_id is None:
        return None
    return loaders(info.context).deployment.load(site.current_deployment_id)


@site_type.field("domains")
@site_type.field("zones")
def resolve_none_yet(_: Site, __: Info) -> list[Any]:
    return []


@site_type.field("ipnsRecords")
def resolve_site_names(site: Site, info: Info) -> Awaitable[Any]:
    return loaders(info.context).names.load(site.id)


@site_type.field("dnslink")
async def resolve_dnslink(site: Site, info: Info, host: str | None = None) -> dict[str, str] | None:
    link = await service.dnslink(ctx_of(info), site, host)
    return None if link is None else {"type": "TXT", "name": link.name, "value": link.value}


@record_type.field("site")
@ens_type.field("site")
def resolve_named_site(name: IpnsName | EnsRecord, info: Info) -> Any:
    return None if name.site_id is None else loaders(info.context).site_of(name.site_id)


@site_type.field("primaryDomain")
def resolve_no_primary_domain(_: Site, __: Info) -> None:
    return None


@project_type.field("sites")
def resolve_project_sites(project: projects.Project, info: Info, first: int | None = None) -> Awaitable[Any]:
    return loaders(info.context).newest_sites(_page(first)).load(project.id)


# --- fields of Deployment ------------------------------------------------------------------------------------------


@deployment_type.field("status")
@update_type.field("status")
def resolve_status(shown: Deployment | service.StatusUpdate, info: Info) -> str:
    if info.context["loaders"].get("sites.is_fleek", lambda: _is_fleek(info)):  # asked for each row of a list
        return _FLEEK_FINAL.get(shown.status, shown.status.value)
    return shown.status.value


@deployment_type.field("storageType")
def resolve_storage_type(_: Deployment, __: Info) -> str:
    return "IPFS"


@deployment_type.field("source")
def resolve_source(deployment: Deployment, _: Info) -> str:
    return deployment.source.value


@deployment_type.field("site")
def resolve_deployment_site(deployment: Deployment, info: Info) -> Any:
    return loaders(info.context).site_of(deployment.site_id)


@deployment_type.field("url")
def resolve_deployment_url(deployment: Deployment, info: Info) -> Any:
    return _with_site(info, deployment, lambda site: addresses.deployment_url(ctx_of(info), site, deployment))


@deployment_type.field("current")
def resolve_is_current(deployment: Deployment, info: Info) -> Any:
    return _with_site(info, deployment, lambda site: site.current_deployment_id == deployment.id)


@deployment_type.field("rejectedRules")
async def resolve_rejected_rules(deployment: Deployment, info: Info) -> Any:
    routes: Routes | None = await loaders(info.context).routes.load(deployment.id)
    return routes.rejected if routes else ()


@deployment_type.field("error")
def resolve_error(deployment: Deployment, _: Info) -> dict[str, str] | None:
    if not deployment.error_code:
        return None
    return {"code": deployment.error_code, "message": deployment.error_message}


@deployment_type.field("logs")
async def resolve_logs(deployment: Deployment, info: Info) -> list[service.LogLine]:
    return await service.read_logs(ctx_of(info), deployment)


def _is_fleek(info: Info) -> bool:
    request = info.context.get("request")
    return request is not None and request.headers.get("x-client-type") == "sdk"


# --- what resolvers share ------------------------------------------------------------------------------------------


def _changing(info: Info) -> Context:
    """The context for a mutation, whose request must not answer with rows that were loaded before it."""
    info.context["loaders"].clear()
    return ctx_of(info)


def _with_site(info: Info, deployment: Deployment, answer: Callable[[Site], Any]) -> Any:
    """``answer`` for the deployment's site: at once when the site is in hand, else when it is loaded."""
    known = loaders(info.context).site_of(deployment.site_id)
    if isinstance(known, Site):
        return answer(known)

    async def later() -> Any:
        site = await known
        return None if site is None else answer(site)

    return later()


def _one(where: Where, *names: str) -> str:
    given = [where[name] for name in names if where.get(name)]
    if len(given) != 1:
        raise InvalidInput(f"Give exactly one of {', '.join(names)}.", field=names[0])
    value: str = given[0]
    return value


def _page(first: int | None, default: int = INNER_DEFAULT) -> int:
    return page_size(first, default=default, most=PAGE_MAX)


_ALIASES = {
    site_type: ("createdAt", "updatedAt"),
    deployment_type: ("siteId", "createdAt", "updatedAt", "readyAt", "rolledBackFrom"),
    update_type: ("deploymentId",),
    log_type: ("deploymentId",),
    diff_type: ("redirectsAdded", "redirectsRemoved", "headersAdded", "headersRemoved"),
    change_type: ("bytesBefore", "bytesAfter"),
}
for _type, _names in _ALIASES.items():
    for _name in _names:
        _type.set_alias(_name, re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), _name))
diff_type.set_alias("from", "before")
diff_type.set_alias("to", "after")

bindables = [
    query,
    mutation,
    subscription,
    site_type,
    record_type,
    ens_type,
    deployment_type,
    project_type,
    update_type,
    log_type,
    diff_type,
    change_type,
]
