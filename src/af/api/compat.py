"""Documents of other dialects, rewritten before validation.

Where era B of the original platform and the npm SDK 3.7.2 name an input type differently, the SDK's name is ours and
era B's is rewritten to it. One field answers two shapes: with a selection, ``deletePersonalAccessToken`` is the SDK's.
Reference: ``originals.md`` §1.1, §3.4, §3.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    SelectionNode,
    VariableDefinitionNode,
    VariableNode,
    get_named_type,
)

ERA_B_INPUTS = frozenset(
    {"SiteDataInput", "DeploymentDataInput", "SiteWhereInput", "PinWhereInput", "IPNSRecordWhereInput"}
)
"""Input types whose era B name is also, or only, used where the SDK has another one."""
_SELECTED = {"deletePersonalAccessToken": "revokedPersonalAccessToken"}
"""Fields that are scalars in era B and objects in the SDK."""


def rewrite(
    document: DocumentNode, operation: OperationDefinitionNode, schema: GraphQLSchema
) -> tuple[DocumentNode, OperationDefinitionNode]:
    """The document and its only operation with our names; the same objects when nothing is to be changed."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return document, operation
    chosen = tuple(_renamed_field(selection) for selection in operation.selection_set.selections)
    expected = _expected_types(chosen, root)
    definitions = tuple(_renamed_type(node, expected) for node in operation.variable_definitions or ())
    if chosen == operation.selection_set.selections and definitions == (operation.variable_definitions or ()):
        return document, operation
    selection_set = replace(operation.selection_set, selections=chosen)
    changed = replace(operation, selection_set=selection_set, variable_definitions=definitions)
    others = tuple(changed if node is operation else node for node in document.definitions)
    return replace(document, definitions=others), changed


def _renamed_field(selection: SelectionNode) -> SelectionNode:
    if not isinstance(selection, FieldNode) or selection.selection_set is None:
        return selection
    other = _SELECTED.get(selection.name.value)
    if other is None:
        return selection
    return replace(selection, alias=selection.alias or selection.name, name=NameNode(value=other))


def _expected_types(selections: Iterable[SelectionNode], root: GraphQLObjectType) -> dict[str, str]:
    """For each variable that is the whole value of an argument of a root field: the input type that it must have."""
    found: dict[str, str] = {}
    for selection in selections:
        field = root.fields.get(selection.name.value) if isinstance(selection, FieldNode) else None
        if field is None or not isinstance(selection, FieldNode):
            continue
        for argument in selection.arguments or ():
            declared = field.args.get(argument.name.value)
            if declared is None or not isinstance(argument.value, VariableNode):
                continue
            named = get_named_type(declared.type)
            if isinstance(named, GraphQLInputObjectType):
                found[argument.value.name.value] = named.name
    return found


def _renamed_type(definition: VariableDefinitionNode, expected: dict[str, str]) -> VariableDefinitionNode:
    wanted = expected.get(definition.variable.name.value)
    kind = definition.type
    inner = kind.type if isinstance(kind, NonNullTypeNode) else kind
    if wanted is None or not isinstance(inner, NamedTypeNode) or inner.name.value not in ERA_B_INPUTS:
        return definition
    named = NamedTypeNode(name=NameNode(value=wanted))
    return replace(definition, type=NonNullTypeNode(type=named) if isinstance(kind, NonNullTypeNode) else named)
