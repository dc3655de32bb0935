"""The GraphQL edge of names; no rules of its own."""

from pathlib import Path

from af.names.graphql import ens, ipns

type_defs = "\n".join(
    (Path(__file__).parent / f"{name}.graphql").read_text(encoding="utf-8") for name in ("ipns", "ens")
)

bindables = [*ipns.bindables, *ens.bindables]
