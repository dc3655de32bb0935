"""How dates and JSON look on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ariadne import ScalarType
from graphql import GraphQLError, StringValueNode, ValueNode, value_from_ast_untyped

date = ScalarType("Date")
json = ScalarType("JSON")


@date.serializer
def serialize_date(value: datetime) -> str:
    text = value.isoformat(timespec="milliseconds")
    return text[:-6] + "Z" if text.endswith("+00:00") else serialize_date(value.astimezone(UTC))


@date.value_parser
def parse_date(value: Any) -> datetime:
    """An ISO 8601 moment; without a zone it is UTC."""
    if not isinstance(value, str) or len(value) > 64:
        raise GraphQLError("A Date is a string such as 2026-01-31T12:00:00Z.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise GraphQLError(f"{value!r} is not an ISO 8601 date.") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@date.literal_parser
def parse_date_literal(node: ValueNode, _: dict[str, Any] | None = None) -> datetime:
    moment: datetime = parse_date(node.value if isinstance(node, StringValueNode) else None)
    return moment


@json.literal_parser
def parse_json_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    return value_from_ast_untyped(node, variables)


bindables = [date, json]
