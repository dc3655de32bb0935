"""The GraphQL documents of the SDK fit the platform's schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from alternatefutures import (
    operations,
    operations_arweave,
    operations_ens,
    operations_gateways,
    operations_ipns,
    operations_machines,
    operations_replication,
    operations_teams,
)

SCHEMA = Path(__file__).resolve().parents[3] / "schema/schema.graphql"
ALL = {
    **vars(operations),
    **vars(operations_teams),
    **vars(operations_machines),
    **vars(operations_ens),
    **vars(operations_ipns),
    **vars(operations_arweave),
    **vars(operations_gateways),
    **vars(operations_replication),
}
DOCUMENTS = sorted(name for name in ALL if name.isupper() and not name.startswith("_"))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SCHEMA.read_text("utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_fits_the_schema(schema: GraphQLSchema, name: str) -> None:
    assert [error.message for error in validate(schema, parse(ALL[name]))] == []


def test_a_document_that_does_not_fit_would_be_found(schema: GraphQLSchema) -> None:
    assert validate(schema, parse("query Me { me { id nonsense } }"))


def test_all_documents_are_checked() -> None:
    assert {
        "ME",
        "SITES",
        "CREATE_DEPLOYMENT",
        "ROLLBACK",
        "DIFF",
        "DEPLOYMENT_LOGS",
        "CREATE_PIN",
        "ORGANIZATIONS",
    } <= set(DOCUMENTS)
