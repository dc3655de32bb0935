"""``af gateways``: hosts that give out the project's content, what is private too, to those who show a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures.gateways import Gateways


@click.group(cls=Noun)
def gateways() -> None:
    """Private gateways: content by CID, private too, for those who show a token."""


@verb(gateways, "list")
def list_gateways(state: State) -> None:
    """List the project's private gateways."""
    found = _gateways(state).list()
    if state.json:
        output.document({"data": found})
        return
    rows = [(each["name"], each["url"], each["id"], each["createdAt"][:19]) for each in found]
    output.table(("NAME", "URL", "ID", "CREATED"), rows, empty="None yet: `af gateways create NAME`.")


@verb(gateways, "get")
@click.argument("gateway")
def get(state: State, gateway: str) -> None:
    """Show a private gateway, by id, slug or name."""
    _show(state, _gateways(state).get(gateway))


@verb(gateways, "create")
@click.argument("name")
def create(state: State, name: str) -> None:
    """Make a private gateway. Prints its address: add /ipfs/CID, and send a token of the project."""
    _show(state, _gateways(state).create(name))


@verb(gateways, "rename")
@click.argument("gateway")
@click.argument("name")
def rename(state: State, gateway: str, name: str) -> None:
    """Change its name; its address stays."""
    _show(state, _gateways(state).rename(gateway, name))


@verb(gateways, "delete")
@click.argument("gateway")
def delete(state: State, gateway: str) -> None:
    """Close a private gateway. Its address never comes back; the content stays."""
    from alternatefutures.errors import UsageError

    found = _gateways(state)
    named = found.get(gateway)
    if not state.yes:
        if not state.interactive:
            raise UsageError(f"Closing {named['url']} needs a confirmation.", hint="Add --yes.")
        click.confirm(f"Close {named['url']}?", abort=True, err=True)
    found.delete(named["id"])
    if state.json:
        output.document({"id": named["id"], "deleted": True})
    elif not state.quiet:
        output.note(f"Closed: {named['url']}")


def _gateways(state: State) -> Gateways:
    return state.project_client().gateways


def _show(state: State, gateway: dict[str, Any]) -> None:
    if state.json:
        output.document(gateway)
    else:
        output.result(gateway["url"])
