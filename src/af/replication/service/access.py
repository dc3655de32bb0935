"""Who may do what with copies, and which providers there are."""

from __future__ import annotations

from af.core.context import Context
from af.replication.backends.configured import Providers

READ = "storage:read"
WRITE = "storage:write"
SPEND = "projects:write"
"""Policies spend the operator's credit, and put content where it may stay for ever."""


def providers(ctx: Context) -> Providers:
    """This process's providers."""
    return ctx.get(Providers)
