"""``af organizations``."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def organizations() -> None:
    """List, create, rename, leave, hand over and delete organizations."""


@verb(organizations, "list")
def list_organizations(state: State) -> None:
    """List the organizations that you are a member of; your personal one is among them."""
    found = state.client().teams.organizations()
    if state.json:
        output.document({"data": found})
        return
    rows = [(o["slug"], o["name"], (o["role"] or "").lower(), "yes" if o["personal"] else "", o["id"]) for o in found]
    output.table(("ORGANIZATION", "NAME", "ROLE", "PERSONAL", "ID"), rows, empty="No organization.")


@verb(organizations, "create")
@click.argument("name")
def create(state: State, name: str) -> None:
    """Make an organization called NAME; you become its owner."""
    made = state.client().teams.create_organization(name)
    if state.json:
        output.document(made)
    else:
        output.result(made["id"])


@verb(organizations, "rename")
@click.argument("organization")
@click.argument("name")
def rename(state: State, organization: str, name: str) -> None:
    """Call ORGANIZATION (slug or id) NAME; its slug stays."""
    changed = state.client().teams.rename_organization(organization, name)
    if state.json:
        output.document(changed)
    elif not state.quiet:
        output.note(f"{changed['slug']} is now called {changed['name']}.")


@verb(organizations, "leave")
@click.argument("organization")
def leave(state: State, organization: str) -> None:
    """Leave ORGANIZATION (slug or id), and your places in its projects."""
    teams = state.client().teams
    found = teams.organization(organization)
    _confirm(state, f"Leave {found['slug']}?")
    teams.leave_organization(found["id"])
    _done(state, found["id"], "left", f"You are no member of {found['slug']} any more.")


@verb(organizations, "transfer")
@click.argument("organization")
@click.option("--to", "user", required=True, help="The new owner: user name, e-mail address or id of a member.")
def transfer(state: State, organization: str, user: str) -> None:
    """Make a member the owner of ORGANIZATION and become an admin of it."""
    from af.cli.members import user_id_of

    teams = state.client().teams
    found = teams.organization(organization)
    user_id = user_id_of(teams.members(organization=found["id"]), user)
    _confirm(state, f"Hand {found['slug']} over to {user}?")
    teams.transfer_ownership(found["id"], user_id)
    _done(state, found["id"], "transferred", f"{user} owns {found['slug']} now; you are an admin.")


@verb(organizations, "move")
@click.argument("project")
@click.option("--to", "organization", required=True, help="Slug or id of the organization.")
def move(state: State, project: str, organization: str) -> None:
    """Move PROJECT (slug or id) to another organization."""
    state.client().teams.transfer_project(project, organization)
    _done(state, project, "moved", f"{project} belongs to {organization} now.")


@verb(organizations, "delete")
@click.argument("organization")
def delete(state: State, organization: str) -> None:
    """Delete ORGANIZATION (slug or id), which must have no projects."""
    teams = state.client().teams
    found = teams.organization(organization)
    _confirm(state, f"Delete organization {found['slug']}?")
    teams.delete_organization(found["id"])
    _done(state, found["id"], "deleted", f"Deleted {found['slug']}.")


def _confirm(state: State, question: str) -> None:
    from alternatefutures.errors import UsageError

    if state.yes:
        return
    if not state.interactive:
        raise UsageError("This needs a confirmation.", hint="Add --yes.")
    click.confirm(question, abort=True, err=True)


def _done(state: State, identifier: str, fact: str, text: str) -> None:
    if state.json:
        output.document({"id": identifier, fact: True})
    elif not state.quiet:
        output.note(text)
