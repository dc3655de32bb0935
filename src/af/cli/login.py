"""``af login``, ``logout``, ``whoami``: who you are, per profile."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from af.cli import output
from af.cli.frame import State, command

if TYPE_CHECKING:
    from af.cli.config import Credentials


@command("login")
@click.option("--token", help="Access token; `-` reads it from stdin.")
@click.option("--url", help="Address of the platform.")
@click.option("--link", is_flag=True, help="Print a link that signs you in once, in a browser.")
def login(state: State, token: str | None, url: str | None, link: bool) -> None:
    """Sign in with an access token and remember it as a profile (``--profile``, else ``default``)."""
    if link:
        _print_link(state)
        return
    from af.cli import config
    from alternatefutures import Client
    from alternatefutures.errors import UsageError

    if token is None and state.interactive:
        token = click.prompt("Access token", hide_input=True, err=True)
    if token == "-":
        token = sys.stdin.readline()
    token = (token or "").strip()
    if not token:
        raise UsageError("A token is needed.", hint="`af login --token TOKEN`; `af tokens create` makes one.")
    name = state.profile or "default"
    address = url or _address(config.load_credentials(), name)
    client = Client(url=address, token=token, project_id="")
    user = client.me()
    if user is None:
        raise UsageError("The platform does not know this token.", hint="Make a new one with `af tokens create`.")
    project = client.project()
    with config.editing() as credentials:
        credentials.profiles[name] = {"apiUrl": client.transport.url, "token": token, "projectId": project.id}
        credentials.active = name
    if state.json:
        output.document(_identity(user.id, user.username, user.email, address, name, project.slug))
    elif not state.quiet:
        output.note(f"Signed in at {address} as {user.username or user.email or user.id} (profile {name}).")


def _print_link(state: State) -> None:
    """For the browser of somebody who is signed in here."""
    address = state.client().login_link()
    if state.json:
        output.document({"url": address})
        return
    if not state.quiet:
        output.note("Open it in a browser; it works once:")
    output.result(address)


def _address(credentials: Credentials, name: str) -> str:
    """Where to sign in: ``AF_API_URL``, else where the profile is, else where the active one is, else this machine."""
    from alternatefutures.client import DEFAULT_URL

    for profile in (name, credentials.active):
        known = credentials.profiles.get(profile, {}).get("apiUrl")
        if known:
            break
    return os.environ.get("AF_API_URL") or known or DEFAULT_URL


@command("logout")
def logout(state: State) -> None:
    """Forget the token of the active profile (or ``--profile``). The token itself stays valid: see `af tokens`."""
    from af.cli import config
    from alternatefutures.errors import NotFoundHere

    with config.editing() as credentials:
        name = state.profile or credentials.active
        if name not in credentials.profiles:
            raise NotFoundHere("You are not signed in.", hint="`af login --token TOKEN` signs you in.")
        del credentials.profiles[name]
        if credentials.active == name:
            credentials.active = next(iter(credentials.profiles), "")
    if state.json:
        output.document({"profile": name, "active": credentials.active})
    elif not state.quiet:
        output.note(f"Forgot profile {name}.")


@command("whoami")
def whoami(state: State) -> None:
    """Show the user, the project and the platform that commands act on."""
    from af.cli import config
    from alternatefutures.errors import NotSignedIn

    access = config.access(state.profile)
    client = state.client()
    user = client.me()
    if user is None:
        raise NotSignedIn(f"The platform at {access.url} does not know your token.", hint="Run `af login` again.")
    project = client.project()
    if state.json:
        output.document(_identity(user.id, user.username, user.email, access.url, access.profile, project.slug))
        return
    for label, text in (
        ("user", user.username or user.email or user.id),
        ("project", project.slug),
        ("platform", access.url),
        ("profile", access.profile or "-"),
    ):
        output.result(f"{label:<9} {text}")


def _identity(
    user_id: str, username: str | None, email: str | None, url: str, profile: str, project: str
) -> dict[str, object]:
    user = {"id": user_id, "username": username, "email": email}
    return {"user": user, "project": project, "apiUrl": url, "profile": profile}
