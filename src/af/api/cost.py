"""How much a query may return at most: 10 for each object, 1 for each scalar, times the sizes of the lists around it.

Sizes come from the arguments that ``@cost(multipliers: …)`` names, or ``first``, else a plain list counts as 10. The
number that AF_GRAPHQL_COST_MAX limits is in objects, so a tenth of this. (Ariadne's own cost rule walks the document
once more per request, weighs only fields with a directive and knows no default size for lists; it is not used.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_named_type,
)

from af.api.errors import QueryTooCostly

OBJECT = 10
SCALAR = 1
LIST_SIZE = 10
PAGE_SIZE = 100
"""Of a page whose size is neither given nor declared."""
SIZE_MAX = 1_000_000
"""Enough to be refused; larger numbers would only make a larger message."""


def check(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
    most: int,
) -> int:
    """The cost in objects, rounded up; ``document`` is valid. :raises QueryTooCostly: over ``most``."""
    defaults = {
        definition.variable.name.value: int(definition.default_value.value)
        for definition in operation.variable_definitions or ()
        if isinstance(definition.default_value, IntValueNode)
    }
    root = schema.get_root_type(operation.operation)
    walk = _Walk(schema, document, {**defaults, **variables})
    cost = math.ceil(walk.selection_set(operation.selection_set, root) / OBJECT)
    if cost > most:
        raise QueryTooCostly(
            f"The query could return {cost} objects; {most} are allowed.", hint="Ask for smaller pages with `first`."
        )
    return cost


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
        self._known: dict[tuple[str, int], int] = {}

    def selection_set(self, node: SelectionSetNode | None, parent: Any, list_size: int = LIST_SIZE) -> int:
        """The cost of what is selected of one object. Lists right in it have ``list_size`` rows unless they say
        otherwise: the ``data`` of a page has as many as the page was asked for."""
        fields = parent.fields if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else {}
        total = 0
        for selection in node.selections if node else ():
            if isinstance(selection, FieldNode):
                field = fields.get(selection.name.value)
                total += self._field(selection, field, list_size) if field else SCALAR
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                total += self.selection_set(selection.selection_set, inner, list_size)
            elif isinstance(selection, FragmentSpreadNode):
                total += self._fragment(selection.name.value, list_size)
        return total

    def _fragment(self, name: str, list_size: int) -> int:
        key = (name, list_size)
        if key not in self._known:
            node = self._fragments[name]
            parent = self._schema.get_type(node.type_condition.name.value)
            self._known[key] = self.selection_set(node.selection_set, parent, list_size)
        return self._known[key]

    def _field(self, node: FieldNode, field: GraphQLField, list_size: int) -> int:
        if node.selection_set is None:
            return SCALAR
        own, names = _declared(field)
        if names:
            list_size = max(1, sum(self._size(node, field, name) for name in names))
        kind = get_named_type(field.type)
        if _is_list(field.type):
            return (own + self.selection_set(node.selection_set, kind)) * list_size
        return own + self.selection_set(node.selection_set, kind, list_size if names else LIST_SIZE)

    def _size(self, node: FieldNode, field: GraphQLField, name: str) -> int:
        default = field.args[name].default if name in field.args else None
        literal = default.literal if default is not None else None
        declared = int(literal.value) if isinstance(literal, IntValueNode) else None
        value: Any = None
        for argument in node.arguments or ():
            if argument.name.value == name and isinstance(argument.value, IntValueNode):
                value = int(argument.value.value)
            elif argument.name.value == name and isinstance(argument.value, VariableNode):
                value = self._variables.get(argument.value.name.value)
        for size in (value, declared):  # null means the default, as in the resolvers
            if isinstance(size, int | float):
                return max(1, min(int(size), SIZE_MAX))
        return PAGE_SIZE


def _declared(field: GraphQLField) -> tuple[int, list[str]]:
    """What ``@cost`` says: the cost of the object, and the arguments that size its list (``first`` if there is one)."""
    own, names = OBJECT, ["first"] if "first" in field.args else []
    for directive in (field.ast_node.directives or ()) if field.ast_node else ():
        if directive.name.value != "cost":
            continue
        for argument in directive.arguments or ():
            if argument.name.value == "complexity" and isinstance(argument.value, IntValueNode):
                own = int(argument.value.value) * OBJECT
            elif isinstance(argument.value, ListValueNode):
                names = [value.value for value in argument.value.values if isinstance(value, StringValueNode)]
    return own, names


def _is_list(kind: Any) -> bool:
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    return isinstance(kind, GraphQLList)
