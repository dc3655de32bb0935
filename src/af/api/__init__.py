"""The GraphQL edge: every domain's schema and resolvers behind one address, with the limits that keep it standing.

It decides nothing about what callers may do; resolvers call services, and those authorise. Order of a request: rate
limit, body, parse, limits on the document's shape, other dialects' names, validation, cost, execution.
"""

from af.api.application import GraphQLApplication, application
from af.api.schema import check_schema, executable, schema_text, write_schema

__all__ = [
    "GraphQLApplication",
    "application",
    "check_schema",
    "executable",
    "schema_text",
    "write_schema",
]
