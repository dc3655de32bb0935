"""From the text of a query to a checked document. Clients send the same few texts again and again, so the result of
parsing and validation is kept; what depends on variables (the cost) is computed for each request."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    ValidationRule,
    parse,
    validate,
)
from graphql.language import FieldNode
from graphql.validation import ASTValidationRule, specified_rules

from af.api import compat, plans, shape
from af.api.errors import IntrospectionOff
from af.api.plans import Plan
from af.core.settings import Settings

KEPT_MAX = 500
KEPT_TEXT_MAX = 20_000
"""Longer texts are not kept: memory stays below ``KEPT_MAX`` times the tree of a text of this length."""
ERRORS_MAX = 10


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with its only operation; or why there is none."""

    document: DocumentNode
    operation: OperationDefinitionNode
    errors: tuple[GraphQLError, ...] = ()
    plan: Plan | None = None
    """`None`: to be executed by graphql-core."""

    @property
    def is_subscription(self) -> bool:
        return self.operation.operation is OperationType.SUBSCRIPTION


class Documents:
    """Parses and validates for one schema; keeps the least recently used results, refused ones too."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._settings = settings
        self._kept: OrderedDict[tuple[str, bool], Prepared] = OrderedDict()

    def prepare(self, text: str, *, signed_in: bool) -> Prepared:
        """:raises GraphQLError: the text does not parse. :raises Error: over a limit of `shape`."""
        key = (text, signed_in)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        prepared = self._prepare(text, signed_in=signed_in)
        if len(text) <= KEPT_TEXT_MAX:
            self._kept[key] = prepared
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return prepared

    def _prepare(self, text: str, *, signed_in: bool) -> Prepared:
        most = self._settings.graphql_tokens_max
        document = parse(text, max_lexical_tokens=most, max_comments=most)
        operation = shape.check(document, self._settings)
        document, operation = compat.rewrite(document, operation, self._schema)
        rules: list[type[ASTValidationRule]] = list(specified_rules)
        if not signed_in:
            rules.append(_NoIntrospection)
        errors = validate(self._schema, document, rules, max_errors=ERRORS_MAX, hide_suggestions=not signed_in)
        if errors:
            return Prepared(document, operation, tuple(errors))
        return Prepared(document, operation, plan=plans.make(self._schema, document, operation))


class _NoIntrospection(ValidationRule):
    """Strangers do not need the schema; ``__typename`` stays, since clients add it everywhere."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value in ("__schema", "__type"):
            refused = IntrospectionOff("The schema is shown to signed-in users only.")
            self.report_error(GraphQLError(refused.message, node, original_error=refused))
