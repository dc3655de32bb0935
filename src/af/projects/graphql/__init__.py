"""The GraphQL edge of teams: organizations, projects, members, invitations, the audit log; no rules of its own."""

from pathlib import Path

from af.projects.graphql import audit, invitations, machines, organizations, projects

type_defs = "\n".join(
    (Path(__file__).parent / f"{name}.graphql").read_text(encoding="utf-8")
    for name in ("projects", "organizations", "audit", "machines")
)

bindables = [
    *projects.bindables,
    *organizations.bindables,
    *invitations.bindables,
    *audit.bindables,
    *machines.bindables,
]
