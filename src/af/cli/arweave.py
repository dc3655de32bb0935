"""``af storage add --to arweave``: a file or folder on Arweave, with its price said before it is paid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.deploy import show
from af.cli.frame import State

if TYPE_CHECKING:
    from alternatefutures import Client


def put(state: State, path: Path, *, name: str | None, hidden: bool, profile: str, estimate: bool, waits: bool) -> None:
    """Upload to the platform, ask for the price, and, if it is agreed to, have it stored and kept."""
    client = state.client()
    steps = output.Steps(quiet=state.quiet)
    root, uploaded = client.files.upload(
        path, profile=profile, hidden=hidden, report=lambda progress: show(steps, progress)
    )
    steps.done("Upload", f"{uploaded.files:,} files · {output.size(uploaded.bytes)}")
    called = path.resolve().name
    cost = client.arweave.cost(root, name=called)
    if estimate:
        if state.json:
            output.document({"cid": root, "cost": cost})
        else:
            output.result(f"{cost['ar']} AR")
        return
    _agree(state, cost)
    pin = client.files.pin(root, name=name or called)
    steps.going("Arweave", "")
    stored = client.arweave.store(root, name=called, cost_max=cost["amount"])
    if waits:
        stored["standing"] = wait(state, client, stored["standing"]["ref"])
    if state.json:
        kept = {"cid": pin.cid, "name": pin.name, "size": pin.size}
        sent = {"uploadedFiles": uploaded.files, "uploadedBytes": uploaded.bytes}
        output.document(kept | {"pin": kept} | sent | {"cost": cost, "arweave": stored})
        return
    standing = stored["standing"]
    steps.done("Arweave", f"{standing['state'].lower()}: {standing['detail']}")
    if not state.quiet and not waits:
        output.note(f"`af storage arweave {standing['ref']}` shows how far it is.")
    output.result(stored["url"])


def _agree(state: State, cost: dict[str, Any]) -> None:
    from alternatefutures.errors import UsageError

    said = f"Arweave takes at most {cost['ar']} AR. What is there is public and stays for ever."
    if state.yes:
        if not state.quiet and not state.json:
            output.note(said)
        return
    if not state.interactive:
        raise UsageError(said, hint="Add --yes to pay, or --estimate to only ask for the price.")
    click.confirm(f"{said} Pay?", abort=True, err=True)


def standing(state: State, ref: str, *, waits: bool) -> None:
    """Print how far an upload is."""
    client = state.client()
    found = wait(state, client, ref) if waits else client.arweave.standing(ref)
    if state.json:
        output.document(found)
    else:
        output.result(f"{found['state'].lower()}: {found['detail']}")


def wait(state: State, client: Client, ref: str) -> dict[str, Any]:
    steps = output.Steps(quiet=state.quiet or state.json)
    found = client.arweave.wait(ref, report=lambda standing: steps.going("Arweave", standing["detail"]))
    steps.clear()
    return found
