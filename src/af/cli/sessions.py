"""``af sessions``: where you are signed in."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def sessions() -> None:
    """List where you are signed in, and end it there."""


@verb(sessions, "list")
def list_sessions(state: State) -> None:
    """List your sessions, newest first; this one is marked."""
    from alternatefutures.models import as_document

    found = state.client().sessions()
    if state.json:
        output.document({"data": [as_document(session) for session in found]})
        return
    rows = [
        (
            "*" if each.current else " ",
            each.method,
            each.device or each.kind,
            each.place or each.address or "-",
            (each.lastSeenAt or each.createdAt)[:16].replace("T", " "),
            each.expiresAt[:10],
            each.id,
        )
        for each in found
    ]
    output.table(("", "BY", "DEVICE", "FROM", "LAST SEEN", "UNTIL", "ID"), rows, empty="No session.")


@verb(sessions, "revoke")
@click.argument("session_id", required=False)
@click.option("--others", is_flag=True, help="All but this one.")
def revoke(state: State, session_id: str | None, others: bool) -> None:
    """End a session by its id; it stops working within seconds. `af logout` ends this one."""
    from alternatefutures.errors import UsageError

    if others == (session_id is not None):
        raise UsageError("Name a session, or all with --others.", hint="`af sessions list` shows the ids.")
    client = state.client()
    if session_id is not None:
        client.revoke_session(session_id)
        count = 1
    else:
        count = client.revoke_sessions()
    if state.json:
        output.document({"id": session_id, "revoked": count})
    elif not state.quiet:
        output.note(f"Ended {session_id}." if session_id else f"Ended {count} session{'' if count == 1 else 's'}.")
