"""``af pins``: content by CID that the platform fetches from elsewhere and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures import Client

_STATES = ("queued", "pinning", "pinned", "failed")


@click.group(cls=Noun)
def pins() -> None:
    """Have content fetched by CID from the network, and kept."""


@verb(pins, "list")
@click.option("--status", "states", type=click.Choice(_STATES), multiple=True, help="Only these; repeatable.")
@click.option("--name", help="Only those whose name holds this text.")
@click.option("--cid", "cids", multiple=True, help="Only for these CIDs; repeatable.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
def list_pins(state: State, states: tuple[str, ...], name: str | None, cids: tuple[str, ...], limit: int) -> None:
    """List pin requests, the newest first. (`af storage list` shows everything that is kept.)"""
    found = state.client().pin_requests.list(
        states=states or _STATES, name=name, match="ipartial", cids=cids, limit=limit
    )
    if state.json:
        output.document({"data": found})
        return
    rows = [(f["requestid"], f["status"], f["pin"]["cid"], f["pin"].get("name", "-"), _since(f)) for f in found]
    output.table(("REQUEST", "STATUS", "CID", "NAME", "CREATED"), rows, empty="No requests: `af pins add CID`.")


@verb(pins, "add")
@click.argument("cid")
@click.option("--name", default="", help="A name to find it by.")
@click.option("--origin", "origins", multiple=True, help="Address or multiaddr of a gateway that has it; repeatable.")
@click.option("--meta", "pairs", multiple=True, metavar="KEY=VALUE", help="Kept with the request; repeatable.")
@click.option("--wait", "waits", is_flag=True, help="Wait until it is pinned.")
def add(state: State, cid: str, name: str, origins: tuple[str, ...], pairs: tuple[str, ...], waits: bool) -> None:
    """Ask for CID to be fetched and kept. Prints the id of the request."""
    client = state.client()
    made = client.pin_requests.add(cid, name=name, origins=origins, meta=_meta(pairs))
    if waits:
        made = _wait(state, client, made["requestid"], 3600.0)
    if state.json:
        output.document(made)
        return
    output.result(made["requestid"])


@verb(pins, "get")
@click.argument("request")
def get(state: State, request: str) -> None:
    """Show a pin request."""
    found = state.client().pin_requests.get(request)
    if state.json:
        output.document(found)
        return
    details = found.get("info", {}).get("status_details", "")
    output.result(f"{found['pin']['cid']}  {found['status']}{f': {details}' if details else ''}")


@verb(pins, "wait")
@click.argument("request")
@click.option("--timeout", type=click.FloatRange(1, 86_400), default=3600.0, show_default=True, help="Seconds.")
def wait(state: State, request: str, timeout: float) -> None:
    """Wait until a request is pinned. Exits with 1 when it fails."""
    found = _wait(state, state.client(), request, timeout)
    if state.json:
        output.document(found)
        return
    output.result(found["pin"]["cid"])


@verb(pins, "rm")
@click.argument("request")
def remove(state: State, request: str) -> None:
    """Forget a request and let go what it kept."""
    state.client().pin_requests.remove(request)
    if state.json:
        output.document({"requestid": request, "deleted": True})
    elif not state.quiet:
        output.note(f"Forgotten: {request}")


def _wait(state: State, client: Client, request: str, seconds: float) -> dict[str, Any]:
    steps = output.Steps(quiet=state.quiet or state.json)
    found: dict[str, Any] = client.pin_requests.wait(
        request,
        timeout_seconds=seconds,
        report=lambda f: steps.going("Pin", f.get("info", {}).get("status_details") or f["status"]),
    )
    info = found.get("info", {})
    steps.done("Pin", f"{info.get('blocks', '0')} blocks · {output.size(int(info.get('fetched_bytes', 0)))} fetched")
    return found


def _meta(pairs: tuple[str, ...]) -> dict[str, str]:
    from alternatefutures.errors import UsageError

    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"{pair!r} is not KEY=VALUE.")
        found[key] = value
    return found


def _since(found: dict[str, Any]) -> str:
    return str(found["created"])[:19]
