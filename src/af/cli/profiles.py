"""``af profiles``: several platforms, or several people, side by side."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def profiles() -> None:
    """List and choose profiles; `af login --profile NAME` makes one."""


@verb(profiles, "list")
def list_profiles(state: State) -> None:
    """List the profiles; the active one is marked. Asks no platform."""
    from af.cli import config

    stored = config.load_credentials()
    rows = [
        {
            "name": name,
            "active": name == stored.active,
            "apiUrl": profile.get("apiUrl", ""),
            "projectId": profile.get("projectId") or None,
            "signIn": "token" if profile.get("token") else "session" if profile.get("accessToken") else None,
        }
        for name, profile in stored.profiles.items()
    ]
    if state.json:
        output.document({"data": rows})
        return
    shown = [
        ("*" if row["active"] else " ", str(row["name"]), str(row["apiUrl"]), str(row["signIn"] or "-")) for row in rows
    ]
    output.table(("", "PROFILE", "PLATFORM", "SIGN-IN"), shown, empty="No profile: `af login`, or `af up` makes one.")


@verb(profiles, "use")
@click.argument("name")
def use(state: State, name: str) -> None:
    """Act as NAME from now on."""
    from af.cli import config
    from alternatefutures.errors import NotFoundHere

    with config.editing() as credentials:
        if name not in credentials.profiles:
            known = ", ".join(credentials.profiles) or "none"
            raise NotFoundHere(f"There is no profile {name!r}.", cause=f"Known: {known}.", hint="`af profiles list`")
        credentials.active = name
        url = credentials.profiles[name].get("apiUrl", "")
    if state.json:
        output.document({"active": name, "apiUrl": url})
    elif not state.quiet:
        output.note(f"Commands now act as profile {name} at {url}.")
