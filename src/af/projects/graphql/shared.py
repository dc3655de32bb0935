"""What the resolvers of this domain share."""

from __future__ import annotations

from typing import Any, cast

from graphql import GraphQLResolveInfo

from af import auth
from af.core import resolving
from af.core.batch import Batch
from af.core.context import Context
from af.core.errors import InvalidInput
from af.core.ids import OrganizationId, ProjectId, UserId
from af.core.resolving import ctx_of as ctx_of
from af.core.resolving import page_of as page_of
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


def loaders_of(info: Info) -> Loaders:
    return cast(Loaders, info.context["loaders"].get("projects", lambda: Loaders(ctx_of(info))))


def one_id(id: str | None, where: Given | None) -> str:
    given = [name for name in (id, (where or {}).get("id")) if name]
    if len(given) != 1:
        raise InvalidInput("Give exactly one of id and where.id.", field="id")
    return cast(str, given[0])


def page_size(first: int | None) -> int:
    return resolving.page_size(first, default=PAGE_DEFAULT, most=PAGE_MAX)
