"""``af audit``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures import Client

_BROKEN = 1


@click.group(cls=Noun)
def audit() -> None:
    """Who did what in the project, or in an organization; for its admins."""


def _filters(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", help="Before this time: 2026-01-31T12:00:00Z."),
        click.option("--since", help="From this time on: 2026-01-31T12:00:00Z."),
        click.option("--target", help="Done to this: an id."),
        click.option("--user", help="Done by this user: an id."),
        click.option("--action", help="The beginning of an action: member. or site.create."),
        click.option("--organization", help="Slug or id; without it, the project that you act on."),
    ):
        function = option(function)
    return function


@verb(audit, "list")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many entries.")
@_filters
def list_entries(state: State, limit: int, organization: str | None, **given: str | None) -> None:
    """List the newest entries."""
    client = state.client()
    found = client.teams.audit(_wanted(given), first=limit, **_place(client, organization))
    if state.jsonl:
        for entry in found:
            output.line(entry)
    elif state.json:
        output.document({"data": found})
    else:
        rows = [
            (
                str(int(e["sequence"])),
                e["createdAt"][:19].replace("T", " "),
                (e["user"] or {}).get("username") or "-",
                e["action"],
                e["target"],
                e["address"],
            )
            for e in found
        ]
        output.table(("NO", "WHEN", "WHO", "DID", "TO", "FROM"), rows, empty="Nothing was done.")


@verb(audit, "export")
@click.option("--format", "kind", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@_filters
def export(state: State, kind: str, organization: str | None, **given: str | None) -> None:
    """Write the whole log to standard output, oldest entry first."""
    client = state.client()
    for piece in client.teams.export_audit(_wanted(given), kind=kind, **_place(client, organization)):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@verb(audit, "verify")
@click.option("--organization", help="Slug or id; without it, the project that you act on.")
def verify(state: State, organization: str | None) -> None:
    """Check that no entry was changed, removed or slipped in."""
    client = state.client()
    found = client.teams.verify_audit(**_place(client, organization))
    if state.json:
        output.document(found)
    elif found["brokenAt"] is None:
        output.note(f"{found['entries']} entries hold. The last one's hash: {found['head'] or '-'}")
    else:
        output.note(f"Entry {found['brokenAt']} is not as it was written; the {found['entries']} before it hold.")
    if found["brokenAt"] is not None:
        raise click.exceptions.Exit(_BROKEN)


def _place(client: Client, organization: str | None) -> dict[str, Any]:
    if organization:
        return {"organization": str(client.teams.organization(organization)["id"])}
    return {"project": client.project().id}


def _wanted(given: dict[str, str | None]) -> dict[str, str]:
    return {"userId" if name == "user" else name: value for name, value in given.items() if value}
