"""``af tokens``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

_DURATION = re.compile(r"([0-9]{1,6})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 168, "y": 8766}
_NEVER = "never"
_DEFAULT = "1y"
_SCOPE = re.compile(r"all|[a-z-]{1,40}:(read|write|admin)")


@click.group(cls=Noun)
def tokens() -> None:
    """Create, list and revoke access tokens."""


@verb(tokens, "create")
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="all, or NOUN:read or NOUN:write, say sites:write; several with commas or by repeating. Default: all.",
)
@click.option(
    "--expires", help="Life of the token: 12h, 30d, 2w, 1y, never. Default: 1y, or that of the token that makes it."
)
@click.option("--project", help="Limit it to one project (id).")
def create(state: State, name: str, scopes: tuple[str, ...], expires: str | None, project: str | None) -> None:
    """Make an access token. It is shown once, now."""
    from alternatefutures.errors import ApiError

    client = state.client()
    asked = _scopes(scopes)
    try:
        made = client.create_token(
            name, scopes=asked, expires_at=expiry(_DEFAULT if expires is None else expires), project_id=project
        )
    except ApiError as error:
        if expires is not None or error.code.lower() != "invalid_expiry":
            raise
        made = client.create_token(name, scopes=asked, project_id=project)  # no token outlives the one that makes it
    if state.json:
        output.document(
            {"id": made.id, "token": made.token, "name": made.name, "scopes": made.scopes, "expiresAt": made.expiresAt}
        )
        return
    if not state.quiet:
        output.note("Keep it now; it is not shown again:")
    output.result(made.token or "")


@verb(tokens, "list")
def list_tokens(state: State) -> None:
    """List your tokens (never their text)."""
    from alternatefutures.models import as_document

    found = state.client().tokens()
    if state.json:
        rows = [as_document(token) for token in found]
        output.document({"data": [{k: v for k, v in row.items() if k != "token"} for row in rows]})
        return
    rows_text = [
        (
            t.id,
            t.name,
            ",".join(t.scopes),
            (t.expiresAt or "never")[:10],
            (t.lastUsedAt or "never")[:16].replace("T", " "),
        )
        for t in found
    ]
    output.table(("ID", "NAME", "SCOPES", "EXPIRES", "LAST USED"), rows_text, empty="No token: `af tokens create`.")


@verb(tokens, "revoke")
@click.argument("token_id")
def revoke(state: State, token_id: str) -> None:
    """Revoke a token by its id; it stops working within seconds."""
    state.client().revoke_token(token_id)
    if state.json:
        output.document({"id": token_id, "revoked": True})
    elif not state.quiet:
        output.note(f"Revoked {token_id}.")


def _scopes(given: tuple[str, ...]) -> list[str] | None:
    """Well-formed scopes; which nouns there are is the platform's to say, and it lists them."""
    from alternatefutures.errors import UsageError

    scopes = [scope.strip() for text in given for scope in text.split(",")]
    for scope in scopes:
        if _SCOPE.fullmatch(scope) is None:
            raise UsageError(f"{scope!r} is not a scope.", hint="Use all, or NOUN:read or NOUN:write: sites:write.")
    return scopes or None


def expiry(text: str) -> str | None:
    """When a life of 12h, 30d, 1y or never that begins now ends."""
    from alternatefutures.errors import UsageError

    if text == _NEVER:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a duration.", hint="Use hours, days, weeks or years, or never: 12h, 30d, 1y."
        )
    try:
        moment = datetime.now(UTC) + timedelta(hours=int(match[1]) * _HOURS[match[2]])  # tidy: the user's own clock
    except OverflowError as error:
        raise UsageError(f"{text!r} is beyond the end of the calendar.", hint="Use never for no expiry.") from error
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
