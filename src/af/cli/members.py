"""``af members``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures import Client

_ROLES = click.Choice(["viewer", "member", "admin", "owner", "billing"], case_sensitive=False)
_organization = click.option("--organization", help="Slug or id; without it, the project that you act on.")


@click.group(cls=Noun)
def members() -> None:
    """Members and invitations of the project, or of an organization."""


@verb(members, "list")
@_organization
def list_members(state: State, organization: str | None) -> None:
    """List who is a member, with which role."""
    client = state.client()
    found = client.teams.members(**_place(client, organization))
    if state.json:
        output.document({"data": found})
        return
    rows = [
        (m["user"]["username"] or "", m["user"]["email"] or "", m["role"].lower(), m["createdAt"][:10], m["user"]["id"])
        for m in found
    ]
    output.table(("USER", "E-MAIL", "ROLE", "SINCE", "ID"), rows, empty="Nobody.")


@verb(members, "invite")
@click.argument("email")
@click.option("--role", type=_ROLES, default="member", show_default=True)
@_organization
def invite(state: State, email: str, role: str, organization: str | None) -> None:
    """Send an invitation to EMAIL, good for seven days."""
    client = state.client()
    made = client.teams.invite(email, role.upper(), **_place(client, organization))
    if state.json:
        output.document(made)
        return
    if not state.quiet:
        output.note(f"Invited {made['email']} as {made['role'].lower()} until {made['expiresAt'][:10]}.")
    output.result(made["id"])


@verb(members, "invitations")
@_organization
def invitations(state: State, organization: str | None) -> None:
    """List the invitations that wait for an answer."""
    client = state.client()
    found = client.teams.invitations(**_place(client, organization))
    if state.json:
        output.document({"data": found})
        return
    rows = [(i["email"], i["role"].lower(), i["expiresAt"][:10], i["id"]) for i in found]
    output.table(("E-MAIL", "ROLE", "UNTIL", "ID"), rows, empty="No invitation waits for an answer.")


@verb(members, "revoke")
@click.argument("invitation")
def revoke(state: State, invitation: str) -> None:
    """Revoke INVITATION (id)."""
    state.client().teams.revoke_invitation(invitation)
    _done(state, invitation, "revoked", "The invitation's link does not work any more.")


@verb(members, "resend")
@click.argument("invitation")
def resend(state: State, invitation: str) -> None:
    """Send INVITATION (id) again, with a new link."""
    state.client().teams.resend_invitation(invitation)
    _done(state, invitation, "sent", "Sent again; the old link does not work any more.")


@verb(members, "role")
@click.argument("user")
@click.argument("role", type=_ROLES)
@_organization
def set_role(state: State, user: str, role: str, organization: str | None) -> None:
    """Give USER (name, e-mail address or id) another ROLE."""
    client = state.client()
    place = _place(client, organization)
    user_id = user_id_of(client.teams.members(**place), user)
    client.teams.set_role(user_id, role.upper(), **place)
    _done(state, user_id, "changed", f"{user} is {role.lower()} now.")


@verb(members, "remove")
@click.argument("user")
@_organization
def remove(state: State, user: str, organization: str | None) -> None:
    """Remove USER (name, e-mail address or id)."""
    client = state.client()
    place = _place(client, organization)
    user_id = user_id_of(client.teams.members(**place), user)
    client.teams.remove(user_id, **place)
    _done(state, user_id, "removed", f"Removed {user}.")


def _place(client: Client, organization: str | None) -> dict[str, str]:
    if organization:
        return {"organization": str(client.teams.organization(organization)["id"])}
    return {"project": client.project().id}


def user_id_of(found: Sequence[dict[str, Any]], name: str) -> str:
    """The id of the member who is called so."""
    from alternatefutures.errors import NotFoundHere

    for member in found:
        user = member["user"]
        if name in (user["id"], user["username"], user["email"]):
            return str(user["id"])
    raise NotFoundHere(f"{name!r} is not a member.", hint="`af members list` shows who is.")


def _done(state: State, identifier: str, fact: str, text: str) -> None:
    if state.json:
        output.document({"id": identifier, fact: True})
    elif not state.quiet:
        output.note(text)
