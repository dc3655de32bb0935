"""What the resolvers of names share."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from af import projects
from af.core import resolving
from af.core.context import Context
from af.core.resolving import ctx_of as ctx_of
from af.core.resolving import page_of as page_of

PAGE_DEFAULT = 100
PAGE_MAX = 100
Info = GraphQLResolveInfo
Given = dict[str, Any]


async def selected(info: Info) -> tuple[Context, str]:
    """The context, and the project that the request is about."""
    ctx = ctx_of(info)
    return ctx, (await projects.selected(ctx)).id


def page_size(first: int | None) -> int:
    return resolving.page_size(first, default=PAGE_DEFAULT, most=PAGE_MAX)
