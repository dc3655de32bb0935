"""Limits on a document that hold before it is validated, so that no query can make validation itself expensive.

One walk over the parsed document, without the schema. Fragments are counted where they are used, each computed once, so
the walk is linear in the size of the document whatever the fragments do. Introspection is not counted in the depth: it
is bounded by a validation rule of its own and only for signed-in users.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from af.api.errors import FragmentCycle, QueryTooBroad, QueryTooDeep
from af.core.settings import Settings

FRAGMENTS_MAX = 50
FIELDS_MAX = 1_000
"""Fields after fragments are expanded."""
SIBLINGS_MAX = 200
"""Selections beside each other: the rule that looks for conflicting siblings is quadratic in these."""
DIRECTIVES_MAX = 50
NESTING_MAX = 200
"""Selection sets inside each other through whatever fragments; far above any depth limit, far below Python's stack."""
_INTROSPECTION = ("__schema", "__type")


@dataclass(slots=True)
class _Measure:
    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    siblings: int = 0
    """The widest selection set, with the fields that fragments bring into it."""
    own_siblings: int = 0
    """How many fields this selection set brings into the one that it is spread in."""

    def add(self, other: _Measure, *, nested: int) -> None:
        self.depth = max(self.depth, other.depth + nested)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.siblings = max(self.siblings, other.siblings)


class _Walk:
    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, _Measure] = {}
        self._open: set[str] = set()
        self._nesting = 0

    def selection_set(self, node: SelectionSetNode | None) -> _Measure:
        total = _Measure()
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise QueryTooDeep(f"The query nests more than {NESTING_MAX} selections.")
        for selection in node.selections if node else ():
            total.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                inner = self.selection_set(selection.selection_set)
                counted = selection.name.value not in _INTROSPECTION
                inner.depth = inner.depth if counted else 0
                total.add(inner, nested=1)
                total.fields += 1
                total.aliases += selection.alias is not None
                total.own_siblings += 1
            else:
                if isinstance(selection, InlineFragmentNode):
                    inner = self.selection_set(selection.selection_set)
                else:
                    assert isinstance(selection, FragmentSpreadNode)
                    inner = self.fragment(selection.name.value)
                total.add(inner, nested=0)
                total.own_siblings += inner.own_siblings
        total.siblings = max(total.siblings, total.own_siblings)
        self._nesting -= 1
        return total

    @property
    def used(self) -> set[str]:
        """The fragments that have been measured."""
        return set(self._known)

    def fragment(self, name: str) -> _Measure:
        if name in self._open:
            raise FragmentCycle(f"The fragment {name[:60]} contains itself.")
        known = self._known.get(name)
        if known is None:
            definition = self._fragments.get(name)
            self._open.add(name)
            known = self.selection_set(definition.selection_set) if definition else _Measure()
            self._open.discard(name)
            self._known[name] = known
        return known


def check(document: DocumentNode, settings: Settings) -> OperationDefinitionNode:
    """The document's only operation.

    :raises QueryTooDeep, QueryTooBroad, FragmentCycle: over a limit, before anything else is looked at.
    """
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    if len(operations) != 1:
        raise QueryTooBroad(f"A request has one operation, not {len(operations)}.")
    if len(document.definitions) - 1 > FRAGMENTS_MAX:
        raise QueryTooBroad(f"A request has at most {FRAGMENTS_MAX} fragments.")
    walk = _Walk(fragments)
    found = walk.selection_set(operations[0].selection_set)
    for name in fragments.keys() - walk.used:  # validation looks at these as well
        found.add(replace(walk.fragment(name), depth=0), nested=0)
    if found.depth > settings.graphql_depth_max:
        raise QueryTooDeep(f"The query is {found.depth} levels deep; {settings.graphql_depth_max} are allowed.")
    limits = (
        ("aliases", found.aliases, settings.graphql_aliases_max),
        ("fields", found.fields, FIELDS_MAX),
        ("fields beside each other", found.siblings, SIBLINGS_MAX),
        ("directives", found.directives, DIRECTIVES_MAX),
    )
    for what, count, most in limits:
        if count > most:
            raise QueryTooBroad(f"The query has {count} {what}; {most} are allowed.")
    return operations[0]
