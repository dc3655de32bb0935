"""Runs a plan: queries and mutations as the specification says (§6), breadth first.

Everything that can be answered without waiting is answered at once; what must wait is waited for in one wave, whose
answers start the next. So batch loaders see a whole level of the query, plain fields cost a fraction of what
graphql-core needs for them, and a field that fails never cancels what its siblings are doing. ``info`` is shared by all
objects of a selection: its ``path`` has no list positions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeGuard

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    located_error,
)
from graphql.execution.values import VariableValues, get_argument_values, get_variable_values
from graphql.pyutils import Path
from graphql.type.definition import GraphQLResolveInfoHelpers

from af.api.plans import FieldPlan, ObjectPlan, Plan

VARIABLE_ERRORS_MAX = 20


class _Place:
    """Where an object or list is put: ``container[key]``, inside the object or list at ``parent``."""

    __slots__ = ("container", "key", "lost", "nullable", "parent")

    def __init__(self, container: Any, key: Any, nullable: bool, parent: _Place | None) -> None:
        self.container = container
        self.key = key
        self.nullable = nullable
        self.parent = parent
        self.lost = False
        """It became null because something in it did; what is still answered for it goes nowhere."""

    def path(self) -> list[str | int]:
        keys: list[str | int] = []
        place: _Place | None = self
        while place is not None and place.parent is not None:
            keys.append(place.key)
            place = place.parent
        return keys[::-1]

    def is_lost(self) -> bool:
        place: _Place | None = self
        while place is not None:
            if place.lost:
                return True
            place = place.parent
        return False


async def execute(
    schema: GraphQLSchema,
    plan: Plan,
    operation: OperationDefinitionNode,
    context: Any,
    inputs: dict[str, Any],
    *,
    hide_suggestions: bool,
) -> ExecutionResult:
    """The result of a query or mutation."""
    variables = get_variable_values(
        schema,
        operation.variable_definitions or (),
        inputs,
        max_errors=VARIABLE_ERRORS_MAX,
        hide_suggestions=hide_suggestions,
    )
    if isinstance(variables, list):
        return ExecutionResult(None, variables)
    run = _Run(schema, plan, operation, context, variables, hide_suggestions)
    return await run.result()


class _Run:
    def __init__(
        self,
        schema: GraphQLSchema,
        plan: Plan,
        operation: OperationDefinitionNode,
        context: Any,
        variables: VariableValues,
        hide_suggestions: bool,
    ) -> None:
        self._schema = schema
        self._plan = plan
        self._operation = operation
        self._context = context
        self._variables = variables
        self._hide_suggestions = hide_suggestions
        self._errors: list[GraphQLError] = []
        self._calls: list[tuple[GraphQLResolveInfo[Any], dict[str, Any]] | None] = [None] * plan.size
        self._waiting: list[tuple[Awaitable[Any], GraphQLOutputType, FieldPlan, Any, Any, _Place]] = []

    async def result(self) -> ExecutionResult:
        data: dict[str, Any] = {}
        outside: dict[str, Any] = {"data": data}
        place = _Place(outside, "data", True, None)
        if self._operation.operation is OperationType.MUTATION:
            for field in self._plan.root.fields:  # one after the other, each with all that follows from it
                self._select(None, ObjectPlan(self._plan.root.kind, [field]), data, place)
                await self._wait()
        else:
            self._select(None, self._plan.root, data, place)
            await self._wait()
        return ExecutionResult(outside["data"], self._errors or None)

    def _select(self, source: Any, plan: ObjectPlan, into: dict[str, Any], place: _Place) -> None:
        """All that is selected of one object, as far as it needs no waiting."""
        is_dict = type(source) is dict
        for field in plan.fields:
            try:
                if field.attribute is not None:
                    value = source.get(field.attribute) if is_dict else getattr(source, field.attribute)
                elif field.field is None:
                    into[field.key] = plan.kind.name
                    continue
                else:
                    info, arguments = self._calls[field.index] or self._call(field)
                    value = field.resolve(source, info, **arguments)
                    if hasattr(value, "__await__"):
                        into[field.key] = None  # keeps its place among its siblings
                        assert field.kind is not None
                        self._waiting.append((value, field.kind, field, into, field.key, place))
                        continue
                if field.leaf is not None and value is not None:
                    into[field.key] = field.leaf(value)
                    continue
            except Exception as error:  # the edge: a resolver may fail in any way
                self._fail(error, field, into, field.key, place, field.nullable)
            else:
                assert field.kind is not None
                self._complete(value, field.kind, field, into, field.key, place)
            if place.lost:
                return

    def _complete(
        self, value: Any, kind: GraphQLOutputType, field: FieldPlan, container: Any, key: Any, parent: _Place
    ) -> None:
        """CompleteValue of the specification (§6.4.3) into ``container[key]``."""
        nullable = True
        if isinstance(kind, GraphQLNonNull):
            nullable, kind = False, kind.of_type
        try:
            if isinstance(value, Exception):
                raise value
            if value is None:
                if not nullable:
                    raise TypeError(f"{field.parent.name}.{field.nodes[0].name.value} must not be null.")
                container[key] = None
            elif isinstance(kind, GraphQLList):
                place = _Place(container, key, nullable, parent)
                self._complete_list(value, kind.of_type, field, place)
            elif field.inner is not None:
                made: dict[str, Any] = {}
                container[key] = made
                self._select(value, field.inner, made, _Place(container, key, nullable, parent))
            else:
                container[key] = kind.coerce_output_value(value)  # type: ignore[union-attr] # what is left is a leaf
        except Exception as error:  # the edge: a resolver may return anything
            self._fail(error, field, container, key, parent, nullable)

    def _complete_list(self, values: Any, kind: GraphQLOutputType, field: FieldPlan, place: _Place) -> None:
        if not isinstance(values, Iterable) or isinstance(values, str | bytes | dict):
            raise TypeError(f"{field.parent.name}.{field.nodes[0].name.value} must be a list.")
        items: list[Any] = []
        place.container[place.key] = items
        for index, value in enumerate(values):
            items.append(None)
            if hasattr(value, "__await__"):
                self._waiting.append((value, kind, field, items, index, place))
            elif not place.lost:
                self._complete(value, kind, field, items, index, place)

    async def _wait(self) -> None:
        """Wave after wave, until nothing is left to wait for."""
        while self._waiting:
            wave, self._waiting = self._waiting, []
            futures = [asyncio.ensure_future(awaited) for awaited, *_ in wave]
            try:
                for future, (_, kind, field, container, key, place) in zip(futures, wave, strict=True):
                    try:
                        value = await future
                    except Exception as error:  # the edge: a resolver may fail in any way
                        if not place.is_lost():
                            self._fail(error, field, container, key, place, not isinstance(kind, GraphQLNonNull))
                        continue
                    if not place.is_lost():
                        self._complete(value, kind, field, container, key, place)
            except BaseException:  # the request was given up
                for future in futures:
                    future.cancel()
                await asyncio.gather(*futures, return_exceptions=True)
                raise

    def _fail(
        self, error: Exception, field: FieldPlan, container: Any, key: Any, place: _Place, nullable: bool
    ) -> None:
        """Record the error; the value becomes null, or else the nearest thing around it that may be null."""
        self._errors.append(located_error(error, field.nodes, [*place.path(), key]))
        if nullable:
            container[key] = None
            return
        around: _Place | None = place
        while around is not None:
            around.lost = True
            if around.nullable:
                around.container[around.key] = None
                return
            around = around.parent

    def _call(self, field: FieldPlan) -> tuple[GraphQLResolveInfo[Any], dict[str, Any]]:
        """What a resolver is called with besides the object; the same for each object of the selection."""
        assert field.field is not None
        node = field.nodes[0]
        arguments: dict[str, Any] = {}
        if field.field.args or node.arguments:
            arguments = get_argument_values(field.field, node, self._variables, hide_suggestions=self._hide_suggestions)
        info = GraphQLResolveInfo(
            field_name=node.name.value,
            field_nodes=field.nodes,
            return_type=field.field.type,
            parent_type=field.parent,
            path=Path(None, field.key, field.parent.name),
            schema=self._schema,
            fragments=self._plan.fragments,
            root_value=None,
            operation=self._operation,
            variable_values=self._variables,
            context=self._context,
            is_awaitable=_is_awaitable,
            abort_signal=None,
            async_helpers=_HELPERS,
        )
        call = self._calls[field.index] = (info, arguments)
        return call


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return hasattr(value, "__await__")


async def _gather(awaited: Sequence[Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*awaited))


def _track(_: Sequence[Any]) -> None:
    raise RuntimeError("a resolver must await what it starts")


_HELPERS = GraphQLResolveInfoHelpers(gather=_gather, track=_track)
