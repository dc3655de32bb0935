"""The audit log of projects, organizations and one's own account."""

from __future__ import annotations

from typing import Any

from ariadne import ObjectType, QueryType

from af.core.audit import EVERYTHING, AuditEntry, Filter, Verification
from af.core.errors import InvalidInput
from af.projects import service as projects
from af.projects.graphql.shared import PAGE_DEFAULT, Given, Info, ctx_of, loaders_of, page_of, page_size
from af.projects.models import Organization, Project

_NUMBER_DIGITS_MAX = 18

query = QueryType()
project_type = ObjectType("Project")
organization_type = ObjectType("Organization")
entry_type = ObjectType("AuditEntry")
verification_type = ObjectType("AuditVerification")


@project_type.field("auditLog")
async def resolve_audit_log(project: Project, info: Info, **given: Any) -> Given:
    size = page_size(given.get("first", PAGE_DEFAULT))
    asked: Given = {"wanted": _filter(given), "first": size + 1, "after": _number(given.get("after"))}
    return page_of(await projects.list_audit(ctx_of(info), project.id, **asked), size, "sequence")


@organization_type.field("auditLog")
async def resolve_organization_audit_log(organization: Organization, info: Info, **given: Any) -> Given:
    size = page_size(given.get("first", PAGE_DEFAULT))
    asked: Given = {"wanted": _filter(given), "first": size + 1, "after": _number(given.get("after"))}
    return page_of(await projects.list_organization_audit(ctx_of(info), organization.id, **asked), size, "sequence")


@query.field("accountAuditLog")
async def resolve_account_audit_log(_: None, info: Info, **given: Any) -> Given:
    size = page_size(given.get("first", PAGE_DEFAULT))
    asked: Given = {"wanted": _filter(given), "first": size + 1, "after": _number(given.get("after"))}
    return page_of(await projects.list_own_audit(ctx_of(info), **asked), size, "sequence")


@project_type.field("auditVerification")
async def resolve_verification(project: Project, info: Info, after: int | None = None) -> Verification:
    return await projects.verify_audit(ctx_of(info), project.id, after=max(0, after or 0))


@organization_type.field("auditVerification")
async def resolve_organization_verification(
    organization: Organization, info: Info, after: int | None = None
) -> Verification:
    return await projects.verify_organization_audit(ctx_of(info), organization.id, after=max(0, after or 0))


@entry_type.field("user")
def resolve_user(entry: AuditEntry, info: Info) -> Any:
    return None if entry.user_id is None else loaders_of(info).user.load(entry.user_id)


def _filter(given: Given) -> Filter:
    where = given.get("where")
    if not where:
        return EVERYTHING
    return Filter(
        action=where.get("action") or "",
        user_id=where.get("userId"),
        target=where.get("target"),
        since=where.get("since"),
        until=where.get("until"),
    )


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if not after.isascii() or not after.isdigit() or len(after) > _NUMBER_DIGITS_MAX:
        raise InvalidInput("after must be the endCursor of a page.", field="after")
    return int(after)


for _type, _fields in {
    entry_type: ("token_id", "session_id", "user_agent", "request_id", "created_at"),
    verification_type: ("broken_at",),
}.items():
    for _field in _fields:
        _head, *_tail = _field.split("_")
        _type.set_alias(_head + "".join(part.capitalize() for part in _tail), _field)

bindables = [query, project_type, organization_type, entry_type, verification_type]
