"""Our execution gives what graphql-core gives, for any query: values, order, nulls that spread, errors."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from ariadne import MutationType, ObjectType, QueryType, make_executable_schema
from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, execute, parse
from hypothesis import HealthCheck, given, settings
from hypothesis_graphql import queries

from af.api import execute as ours
from af.api import plans
from af.core.batch import Batch

SDL = """
type Query { thing(n: Int = 1): Thing  sure: Thing!  things(first: Int): [Thing!]!  odd: [[Thing]!]  word: String }
type Mutation { add(n: Int!): Int!  fail: Int }
type Thing {
  id: ID!  name: String  number: Int!  size: Size!  tags: [String!]  holes: [Int]
  self: Thing!  later: Thing!  lazy: Thing  many(count: Int = 2): [Thing!]!  maybe: [Thing]
  broken: String  brokenSure: String!  brokenLater: Int!  missing: Int!  wrong: Int  notList: [Int]
}
enum Size { BIG SMALL }
"""
query, mutation, thing = QueryType(), MutationType(), ObjectType("Thing")


@pytest.fixture(autouse=True, scope="module")
def quick_collections() -> Iterator[None]:
    """Objects of other modules are not looked at by the many collections here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


class Broken(Exception):
    pass


def make(n: int) -> dict[str, Any]:
    made = {"id": n, "number": n, "holes": [1, None, n], "missing": None, "wrong": "no number", "notList": 7}
    return made | {
        "name": None if n % 3 == 0 else f"thing {n}",
        "size": "BIG" if n % 2 else "SMALL",
        "tags": ["a", "b"] if n % 2 else None,
    }


@query.field("thing")
async def resolve_thing(_: None, __: Any, n: int | None = 1) -> Any:
    await asyncio.sleep(0)
    return None if n is None or n < 0 else make(n)


@query.field("sure")
def resolve_sure(*_: Any) -> Any:
    return make(2)


@query.field("things")
def resolve_things(_: None, __: Any, first: int | None = None) -> Any:
    return [make(n) for n in range(min(max(first or 3, 0), 4))]


@query.field("odd")
async def resolve_odd(*_: Any) -> Any:
    return [[make(1), None], [], [make(2)]]


@thing.field("self")
def resolve_self(source: Any, _: Any) -> Any:
    return source


@thing.field("later")
async def resolve_later(source: Any, _: Any) -> Any:
    await asyncio.sleep(0)
    return make(source["id"] + 1)


@thing.field("lazy")
def resolve_lazy(source: Any, info: Any) -> Any:
    return info.context["batch"].load(source["id"])


@thing.field("many")
def resolve_many(source: Any, _: Any, count: int | None = 2) -> Any:
    return [make(source["id"] + n) for n in range(min(max(count or 0, 0), 3))]


@thing.field("maybe")
async def resolve_maybe(source: Any, info: Any) -> Any:
    return [make(source["id"]), None, info.context["batch"].load(source["id"])]


@thing.field("broken")
@thing.field("brokenSure")
def resolve_broken(*_: Any) -> Any:
    raise Broken("broken")


@thing.field("brokenLater")
async def resolve_broken_later(*_: Any) -> Any:
    await asyncio.sleep(0)
    raise Broken("broken later")


@mutation.field("add")
async def resolve_add(_: None, info: Any, n: int) -> int:
    seen: list[int] = info.context["seen"]
    before = len(seen)
    await asyncio.sleep(0)
    assert len(seen) == before, "another mutation ran in between"
    seen.append(n)
    return sum(seen)


@mutation.field("fail")
def resolve_fail(*_: Any) -> Any:
    raise Broken("failed")


DROPPED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""graphql-core drops coroutines without waiting for them when something fails."""

SCHEMA = make_executable_schema(SDL, query, mutation, thing)


def context() -> dict[str, Any]:
    async def fetch(keys: Any) -> dict[int, Any]:
        return {key: make(key + 10) for key in keys if key % 2}

    return {"batch": Batch(fetch), "seen": []}


async def both(text: str, variables: dict[str, Any] | None = None) -> tuple[ExecutionResult, ExecutionResult]:
    """Our result and graphql-core's."""
    document = parse(text)
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    plan = plans.make(SCHEMA, document, operation)
    assert plan is not None
    mine = await ours.execute(SCHEMA, plan, operation, context(), variables or {}, hide_suggestions=False)
    with warnings.catch_warnings():  # graphql-core drops coroutines without waiting for them when something fails
        warnings.simplefilter("ignore")
        theirs: Any = execute(SCHEMA, document, context_value=context(), variable_values=variables)
        theirs = await theirs if hasattr(theirs, "__await__") else theirs
        errors = [GraphQLError(error.message, path=error.path) for error in theirs.errors or ()]
        theirs = ExecutionResult(theirs.data, errors or None)  # without tracebacks, which keep those coroutines
        gc.collect()
    return mine, theirs


def check(mine: ExecutionResult, theirs: ExecutionResult) -> None:
    assert json.dumps(mine.data) == json.dumps(theirs.data)  # order counts
    assert bool(mine.errors) == bool(theirs.errors)
    found = {(tuple(error.path or ()), error.message) for error in mine.errors or ()}
    # Where a null spreads, engines may differ in how many of the failures below it they report.
    nulls = {path for path, _ in found}
    assert all(tuple(error.path or ()) in nulls or _is_below(theirs, error.path) for error in theirs.errors or ())


def _is_below(result: ExecutionResult, path: Any) -> bool:
    """Whether what failed is inside something that became null."""
    value: Any = result.data
    for key in path[:-1]:
        if value is None:
            return True
        value = value[key]
    return value is None


@DROPPED
@given(queries(SDL))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_query_gives_the_same(text: str) -> None:
    mine, theirs = asyncio.run(both(text))
    gc.collect()  # what is dropped is dropped in this test
    check(mine, theirs)


@given(queries(SDL))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_resolver_is_waited_for(text: str) -> None:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    plan = plans.make(SCHEMA, document, operation)
    assert plan is not None

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(ours.execute(SCHEMA, plan, operation, context(), {}, hide_suggestions=False))
        gc.collect(0)
    assert not [warning for warning in caught if "never awaited" in str(warning.message)]


@DROPPED
@pytest.mark.parametrize(
    "text",
    [
        "{ things { id name } things { name self { id ...t } } } fragment t on Thing { self { number } size }",
        "{ a: thing(n: 1) { id } b: thing(n: -1) { id } c: sure { ... on Thing { __typename id } } }",
        "{ thing { brokenSure id } sure { id } }",
        "{ sure { later { later { brokenLater } } } }",
        "{ thing { self { self { missing } } name } word }",
        "{ things { many { brokenSure } } }",
        "{ thing { maybe { id missing } holes tags } odd { id brokenSure } }",
        "{ thing { wrong notList id } }",
        "{ things { lazy { lazy { id } } brokenLater } }",
        "{ thing { lazy { id } maybe { lazy { id } brokenLater } } }",
        "mutation { a: add(n: 1) b: add(n: 2) fail c: add(n: 3) }",
    ],
)
async def test_what_is_easy_to_get_wrong(text: str) -> None:
    mine, theirs = await both(text)
    check(mine, theirs)


async def test_variables_are_coerced_and_their_errors_reported() -> None:
    text = "query($n: Int!, $c: Int = 1) { thing(n: $n) { many(count: $c) { id } } }"
    for variables in ({"n": 1}, {"n": 1, "c": None}, {"n": -1, "c": 3}):
        mine, theirs = await both(text, variables)
        assert (mine.data, mine.errors) == (theirs.data, None)
    for variables in ({}, {"n": None}, {"n": "x"}, {"n": 1, "c": 1.5}):
        mine, theirs = await both(text, variables)
        assert mine.data is None
        assert [error.message for error in mine.errors or ()] == [error.message for error in theirs.errors or ()]


@pytest.mark.parametrize(
    "text", ["{ __schema { types { name } } }", "{ word @skip(if: true) }", "{ ... @include(if: true) { word } }"]
)
def test_what_a_plan_cannot_describe_is_left_to_graphql_core(text: str) -> None:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert plans.make(SCHEMA, document, operation) is None


async def test_a_request_that_is_given_up_leaves_nothing_running() -> None:
    document = parse("{ thing { id } }")
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    plan = plans.make(SCHEMA, document, operation)
    assert plan is not None
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(ours.execute(SCHEMA, plan, operation, context(), {}, hide_suggestions=False))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
