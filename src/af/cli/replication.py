"""``af replication``: copies of what is live at other providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb
from af.cli.ipns import site_id

if TYPE_CHECKING:
    pass


@click.group(cls=Noun)
def replication() -> None:
    """Copies of what is live at other providers: where, in which state, at what cost."""


@verb(replication, "providers")
def providers(state: State) -> None:
    """List the providers, and what those that cannot be used miss."""
    found = state.client().replication.providers()
    if state.json:
        output.document({"data": found})
        return
    rows = [(each["name"], "yes" if each["usable"] else "no", each["missing"] or "-") for each in found]
    output.table(("PROVIDER", "USABLE", "TO CONFIGURE"), rows, empty="None.")


@verb(replication, "list")
def policies(state: State) -> None:
    """List the policies: where copies are wanted."""
    client = state.project_client()
    found = client.replication.policies()
    if state.json:
        output.document({"data": found})
        return
    slugs = {site.id: site.slug for site in client.sites()} if any(each["siteId"] for each in found) else {}
    rows = [
        (
            str(slugs.get(each["siteId"], each["siteId"])) if each["siteId"] else "(project)",
            ", ".join(each["providers"]),
        )
        for each in found
    ]
    output.table(("SITE", "PROVIDERS"), rows, empty="None yet: `af replication set PROVIDER…`.")


@verb(replication, "set")
@click.argument("names", nargs=-1, required=True, metavar="PROVIDER...")
@click.option("--site", help="Of this site only; else of the project's pins and all of its sites.")
def set_policy(state: State, names: tuple[str, ...], site: str | None) -> None:
    """Keep copies of what is live at exactly these providers."""
    client = state.project_client()
    policy = client.replication.set_policy(names, site_id=None if site is None else site_id(client, site))
    if state.json:
        output.document(policy)
    elif not state.quiet:
        output.note(f"Copies are made at {', '.join(policy['providers'])}. `af replication status` shows them.")


@verb(replication, "remove")
@click.option("--site", help="The policy of this site; else the project's own.")
def remove(state: State, site: str | None) -> None:
    """End a policy. Copies that nothing wants are kept for a week, then removed where that is possible."""
    client = state.project_client()
    client.replication.delete_policy(site_id=None if site is None else site_id(client, site))
    if state.json:
        output.document({"deleted": True})
    elif not state.quiet:
        output.note("The policy has ended.")


@verb(replication, "status")
@click.argument("cid", required=False)
def status(state: State, cid: str | None) -> None:
    """Show the copies, of everything or of CID."""
    found = list(state.project_client().replication.copies(cid))
    if state.json:
        output.document({"data": found})
        return
    rows = [
        (each["cid"], each["name"] or "-", each["provider"], each["state"].lower(), _proof(each), _note(each))
        for each in found
    ]
    columns = ("CID", "OF", "PROVIDER", "STATE", "PROVED", "NOTE")
    output.table(columns, rows, empty="No copies: `af replication set PROVIDER…`.")


@verb(replication, "check")
@click.argument("cid")
def check(state: State, cid: str) -> None:
    """Look at the copies of CID now rather than when they are due."""
    count = state.project_client().replication.check(cid)
    if state.json:
        output.document({"cid": cid, "copies": count})
    elif not state.quiet:
        output.note(f"{count} {'copy is' if count == 1 else 'copies are'} looked at now. `af replication status {cid}`")


def verify(state: State, cid: str) -> None:
    """Print what every source has; exits with 1 when one has wrong bytes, or none has the content whole."""
    found = state.project_client().replication.verify(cid)
    whole = any(each["finding"] == "WHOLE" for each in found)
    wrong = any(each["finding"] == "WRONG" for each in found)
    if state.json:
        output.document({"cid": cid, "verified": whole and not wrong, "data": found})
    else:
        rows = [
            (
                each["source"],
                each["finding"].lower(),
                f"{each['blocksRight']}/{each['blocksAsked']}",
                each["detail"] or "-",
            )
            for each in found
        ]
        output.table(("SOURCE", "FINDING", "BLOCKS", "NOTE"), rows, empty="No source was asked.")
    if wrong or not whole:
        click.get_current_context().exit(1)


def _proof(copy: dict[str, Any]) -> str:
    return f"{copy['provedAt'][:19]} ({copy['blocksProved']})" if copy["provedAt"] else "-"


def _note(copy: dict[str, Any]) -> str:
    cost = f"{copy['cost']} {copy['costUnit']}" if copy["cost"] else ""
    return copy["error"] or copy["detail"] or cost or copy["url"] or "-"
