"""What the resolvers of this domain share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from graphql import GraphQLResolveInfo

from af import auth
from af.core.batch import Batch
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import OrganizationId, ProjectId, UserId
from af.projects import service as projects
from af.projects.models import Organization, OrganizationRole, Project, Role

PAGE_DEFAULT = 50
PAGE_MAX = 100
Info = GraphQLResolveInfo
Given = dict[str, Any]


class Loaders:
    """The batch loaders of one request."""

    def __init__(self, ctx: Context) -> None:
        self.user: Batch[UserId, auth.User] = Batch(lambda keys: auth.users_by_id(ctx, keys))
        self.role: Batch[ProjectId, Role] = Batch(lambda keys: projects.roles_in(ctx, keys))
        self.project: Batch[ProjectId, Project] = Batch(lambda keys: projects.projects_by_id(ctx, keys))
        self.place: Batch[OrganizationId, OrganizationRole] = Batch(lambda keys: projects.places_in(ctx, keys))
        self.listed: Batch[tuple[OrganizationId, UserId], list[ProjectId]] = Batch(
            lambda keys: projects.listed_projects(ctx, keys)
        )
        self.organization: Batch[OrganizationId, Organization] = Batch(
            lambda keys: projects.organizations_by_id(ctx, keys)
        )


def ctx_of(info: Info) -> Context:
    ctx: Context = info.context["ctx"]
    return ctx


def loaders_of(info: Info) -> Loaders:
    return cast(Loaders, info.context["loaders"].get("projects", lambda: Loaders(ctx_of(info))))


def one_id(id: str | None, where: Given | None) -> str:
    given = [name for name in (id, (where or {}).get("id")) if name]
    if len(given) != 1:
        raise InvalidInput("Give exactly one of id and where.id.", field="id")
    return cast(str, given[0])


def page_size(first: int | None) -> int:
    first = PAGE_DEFAULT if first is None else first
    if not 1 <= first <= PAGE_MAX:
        raise InvalidInput(f"first must be between 1 and {PAGE_MAX}.", field="first")
    return first


def page_of(found: Sequence[Any], size: int, cursor: str = "id") -> Given:
    """The first ``size`` of ``found``, which has one more when there is a next page; ``cursor`` is the field to go on
    after."""
    page = found[:size]
    end = str(getattr(page[-1], cursor)) if page else None
    return {"data": page, "pageInfo": {"endCursor": end, "hasNextPage": len(found) > size}}
