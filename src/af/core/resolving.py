"""What the GraphQL resolvers of every domain share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from af.core.errors import InvalidInput

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

    from af.core.context import Context


def ctx_of(info: GraphQLResolveInfo[Any]) -> Context:
    ctx: Context = info.context["ctx"]
    return ctx


def page_size(first: int | None, *, default: int, most: int) -> int:
    """How many to show. :raises InvalidInput: none, or too many"""
    size = default if first is None else first
    if not 1 <= size <= most:
        raise InvalidInput(f"first must be between 1 and {most}.", field="first")
    return size


def page_of(found: Sequence[Any], size: int, cursor: str = "id") -> dict[str, Any]:
    """The first ``size`` of ``found``, which has one more when there is a next page; ``cursor`` is the field to go on
    after."""
    page = found[:size]
    end = str(getattr(page[-1], cursor)) if page else None
    return {"data": page, "pageInfo": {"endCursor": end, "hasNextPage": len(found) > size}}
