"""What the resolvers of names share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLResolveInfo

from af import projects
from af.core.context import Context
from af.core.errors import InvalidInput

PAGE_DEFAULT = 100
PAGE_MAX = 100
Info = GraphQLResolveInfo
Given = dict[str, Any]


def ctx_of(info: Info) -> Context:
    ctx: Context = info.context["ctx"]
    return ctx


async def selected(info: Info) -> tuple[Context, str]:
    """The context, and the project that the request is about."""
    ctx = ctx_of(info)
    return ctx, (await projects.selected(ctx)).id


def page_size(first: int | None) -> int:
    first = PAGE_DEFAULT if first is None else first
    if not 1 <= first <= PAGE_MAX:
        raise InvalidInput(f"first must be between 1 and {PAGE_MAX}.", field="first")
    return first


def page_of(found: Sequence[Any], size: int) -> Given:
    """The first ``size`` of ``found``, which has one more when there is a next page."""
    page = found[:size]
    cursor = page[-1].id if page else None
    return {"data": page, "pageInfo": {"endCursor": cursor, "hasNextPage": len(found) > size}}
