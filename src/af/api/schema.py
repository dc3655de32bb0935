"""The one schema: what this package declares plus every domain's types and resolvers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from ariadne import QueryType, make_executable_schema
from ariadne.resolvers import is_default_resolver
from graphql import GraphQLObjectType, GraphQLSchema, print_schema

from af import __version__
from af.api import scalars
from af.api.errors import SchemaOutOfDate
from af.auth import graphql as auth
from af.names import graphql as names
from af.projects import graphql as projects
from af.replication import graphql as replication
from af.sites import graphql as sites
from af.storage import graphql as storage

SCHEMA_FILE = "schema/schema.graphql"
_DOMAINS: tuple[Any, ...] = (auth, projects, storage, names, replication, sites)
"""Each has ``type_defs: str`` and ``bindables: list``. Add a domain here."""

_query = QueryType()


@_query.field("version")
def resolve_version(*_: Any) -> dict[str, str]:
    return {"commitHash": __version__}


@functools.cache
def executable() -> GraphQLSchema:
    """The schema with its resolvers; made once per process."""
    declared = (Path(__file__).parent / "schema.graphql").read_text(encoding="utf-8")
    schema = make_executable_schema(
        [declared, *(domain.type_defs for domain in _DOMAINS)],
        _query,
        *scalars.bindables,
        *(bindable for domain in _DOMAINS for bindable in domain.bindables),
    )
    _resolve_plain_fields_fast(schema)
    return schema


def schema_text() -> str:
    """The schema as text, sorted by nothing but the order of declaration; what ``schema/schema.graphql`` holds."""
    return print_schema(executable()) + "\n"


def write_schema(root: Path) -> None:
    """Write ``schema/schema.graphql`` below the root of the repository."""
    path = root / SCHEMA_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")


def check_schema(root: Path) -> None:
    """:raises SchemaOutOfDate: the committed file differs from the code."""
    path = root / SCHEMA_FILE
    if not path.exists() or path.read_text(encoding="utf-8") != schema_text():
        raise SchemaOutOfDate(f"{SCHEMA_FILE} is out of date.", hint="Run: python -m af.server.generate")


def _resolve_plain_fields_fast(schema: GraphQLSchema) -> None:
    """Fields that only read an attribute or key get a resolver that does just that: the general ones look at each
    value's type and whether it can be called, which is most of the cost of a large list."""
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name.startswith("__"):
            continue
        for name, field in kind.fields.items():
            if kind in (schema.query_type, schema.mutation_type, schema.subscription_type) or field.args:
                continue
            if is_default_resolver(field.resolve):
                field.resolve = _reader(_attribute(field.resolve) or name)


def _attribute(resolve: Any) -> str | None:
    """The attribute that an alias made by Ariadne's ``set_alias`` reads; it is kept in the resolver's closure."""
    if not hasattr(resolve, "_ariadne_alias_resolver"):
        return None
    (cell,) = resolve.__closure__
    value: str = cell.cell_contents
    return value


def _reader(attribute: str) -> Callable[..., Any]:
    read = attrgetter(attribute)

    def resolve(source: Any, _: Any) -> Any:
        return source.get(attribute) if type(source) is dict else read(source)

    if "." not in attribute:
        resolve.attribute = attribute  # type: ignore[attr-defined] # `plans` then reads it without a call
    return resolve
