"""What an operation selects, worked out once per document: which fields of which objects, in order, with merged
selections. `execute` runs it; a document that a plan cannot describe is left to graphql-core."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    default_field_resolver,
    get_named_type,
    is_leaf_type,
)


@dataclass(slots=True)
class FieldPlan:
    """One field of one selection set. ``index`` is its place in the plan, for what is kept per request."""

    index: int
    key: str
    nodes: list[FieldNode]
    parent: GraphQLObjectType
    field: GraphQLField | None
    """`None` for ``__typename``."""
    kind: GraphQLOutputType | None
    resolve: Callable[..., Any]
    attribute: str | None
    """The attribute or key that the field just reads."""
    leaf: Callable[[Any], Any] | None
    """For a scalar or enum that is not in a list: from a value to what is on the wire."""
    nullable: bool
    inner: ObjectPlan | None


@dataclass(slots=True)
class ObjectPlan:
    """What is selected of an object."""

    kind: GraphQLObjectType
    fields: list[FieldPlan]


@dataclass(frozen=True, slots=True)
class Plan:
    root: ObjectPlan
    size: int
    fragments: dict[str, FragmentDefinitionNode]


class _Unplannable(Exception):
    """Directives, introspection, interfaces or unions: rare, and graphql-core knows them."""


def make(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Plan | None:
    """The plan of a valid document; `None` when graphql-core should execute it."""
    root = schema.get_root_type(operation.operation)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    maker = _Maker(schema, fragments)
    try:
        assert root is not None, "the document is valid"
        plan = maker.object(root, [operation.selection_set])
    except _Unplannable:
        return None
    return Plan(plan, maker.size, fragments)


class _Maker:
    def __init__(self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments
        self.size = 0

    def object(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode]) -> ObjectPlan:
        grouped: dict[str, list[FieldNode]] = {}
        for selection_set in sets:
            self._collect(kind, selection_set, grouped)
        return ObjectPlan(kind, [self._field(kind, key, nodes) for key, nodes in grouped.items()])

    def _collect(
        self, kind: GraphQLObjectType, selection_set: SelectionSetNode, grouped: dict[str, list[FieldNode]]
    ) -> None:
        """CollectFields of the specification (§6.3.2), for one object type."""
        for selection in selection_set.selections:
            if selection.directives:
                raise _Unplannable
            if isinstance(selection, FieldNode):
                key = (selection.alias or selection.name).value
                grouped.setdefault(key, []).append(selection)
                continue
            if isinstance(selection, FragmentSpreadNode):
                spread: Any = self._fragments[selection.name.value]
            else:
                assert isinstance(selection, InlineFragmentNode)
                spread = selection
            condition = spread.type_condition
            if condition is not None and condition.name.value != kind.name:
                raise _Unplannable
            self._collect(kind, spread.selection_set, grouped)

    def _field(self, parent: GraphQLObjectType, key: str, nodes: list[FieldNode]) -> FieldPlan:
        name = nodes[0].name.value
        index = self.size
        self.size += 1
        if name == "__typename":
            return FieldPlan(index, key, nodes, parent, None, None, default_field_resolver, None, None, False, None)
        field = parent.fields.get(name)
        if field is None:
            raise _Unplannable  # introspection
        nullable = not isinstance(field.type, GraphQLNonNull)
        single = field.type if nullable else field.type.of_type
        named = get_named_type(field.type)
        leaf = single.coerce_output_value if is_leaf_type(single) else None
        inner = None
        if isinstance(named, GraphQLObjectType):
            inner = self.object(named, [node.selection_set for node in nodes if node.selection_set])
        elif not is_leaf_type(named):
            raise _Unplannable
        resolve = field.resolve or default_field_resolver
        attribute = getattr(resolve, "attribute", None)
        return FieldPlan(index, key, nodes, parent, field, field.type, resolve, attribute, leaf, nullable, inner)
