"""``af ens``: names of ENS that point at sites."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures.ens import Ens

WAIT_SECONDS = 600.0


@click.group(cls=Noun)
def ens() -> None:
    """ENS names (example.eth) that point at your sites. What is so, only the chain says."""


@verb(ens, "add")
@click.argument("name")
@click.option("--site", help="The site, through its IPNS name, which follows every deployment.")
@click.option("--ipns", help="An IPNS name (id, label or k51…).")
@click.option("--content", help="Fixed content: ipfs://CID, ipns://NAME, bzz://HASH or ar://ID.")
def add(state: State, name: str, site: str | None, ipns: str | None, content: str | None) -> None:
    """Have NAME point at a site, an IPNS name or content. Then sign: `af ens tx NAME`."""
    from alternatefutures.errors import UsageError

    if (ipns is not None) + (content is not None) + (site is not None) > 1:
        raise UsageError("Name one of --site, --ipns and --content.")
    client = state.project_client()
    site_id = None
    if ipns is None and content is None:
        from af.cli.deploy import find_site

        site_id = find_site(client, state, site).id
    made = client.ens.add(name, site=site_id, ipns=ipns, content=content)
    if state.json:
        output.document(made)
        return
    output.result(made["id"])
    if not state.quiet:
        output.note(f"{made['name']} shall point at {made['content']}. Next: `af ens tx {made['name']}`.")


@verb(ens, "list")
def list_records(state: State) -> None:
    """List the project's ENS names and what the chain said last."""
    found = list(_ens(state).records())
    if state.json:
        output.document({"data": found})
        return
    rows = [(r["name"], r["status"], r["content"], (r["checkedAt"] or "never")[:19], r["id"]) for r in found]
    output.table(("NAME", "STATUS", "CONTENT", "CHECKED", "ID"), rows, empty="None: `af ens add NAME --site SITE`.")


@verb(ens, "get")
@click.argument("name")
def get(state: State, name: str) -> None:
    """Show one: NAME, or its id."""
    _show(state, _ens(state).record(name))


@verb(ens, "tx")
@click.argument("name")
@click.option("--from", "sender", help="Account that will send it, if not the name's owner: a multisig, a delegate.")
@click.option("--safe", is_flag=True, help="Print a file for Safe's Transaction Builder (multisig).")
def tx(state: State, name: str, sender: str | None, safe: bool) -> None:
    """Show the transaction that NAME's owner has to sign: to, data, value, chain, gas. Sign it with any wallet, then
    `af ens verify NAME --tx HASH`."""
    found = _ens(state).transaction(name, sender=sender)
    if safe:
        output.result(json.dumps(_safe_batch(name, found), indent=2))
        return
    if state.json:
        output.document(found)
        return
    for label in ("chainId", "from", "to", "value", "gas", "data"):
        output.result(f"{label}: {_plain(found[label])}")
    if not state.quiet:
        output.note(f"It makes {name} point at {found['content']}. When it is sent: `af ens verify {name} --tx HASH`.")


@verb(ens, "send")
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is mined.")
def send(state: State, name: str, no_wait: bool) -> None:
    """Have the platform sign with AF_ENS_PRIVATE_KEY and send (operator only). Again: with a higher fee."""
    ens = _ens(state)
    sent = ens.send(name)
    if not state.quiet and not state.json:
        output.note(f"Sent {sent['transaction']} from {sent['owner'] or 'the platform'}.")
    _show(state, sent if no_wait else ens.wait(name, seconds=WAIT_SECONDS))


@verb(ens, "verify")
@click.argument("name")
@click.option("--tx", "transaction", help="Hash of the transaction that your wallet sent.")
@click.option("--wait", is_flag=True, help="Wait until it is mined, ten minutes at most.")
def verify(state: State, name: str, transaction: str | None, wait: bool) -> None:
    """Ask the chain whether NAME points at what it should. Succeeds only if it does."""
    from alternatefutures.ens import not_active

    ens = _ens(state)
    found = ens.verify(name, transaction=transaction)
    if wait and found["status"] in ("PENDING", "CREATED"):
        found = ens.wait(name, seconds=WAIT_SECONDS)
    if found["status"] != "ACTIVE":
        raise not_active(found)
    _show(state, found)


@verb(ens, "resolve")
@click.argument("name")
def resolve(state: State, name: str) -> None:
    """Show what any NAME points at on the chain now."""
    found = _ens(state).resolve(name)
    if state.json:
        output.document(found)
        return
    output.result(found["content"] or "-")
    if not state.quiet:
        output.note(f"owner {found['owner'] or 'nobody'}, resolver {found['resolver'] or 'none'}")


@verb(ens, "delete")
@click.argument("name")
def delete(state: State, name: str) -> None:
    """Forget NAME here. The chain stays as it is."""
    gone = _ens(state).delete(name)
    if state.json:
        output.document({"id": gone["id"], "deleted": True})
    elif not state.quiet:
        output.note(f"Forgot {gone['name']}; on the chain it stays as it is.")


def _ens(state: State) -> Ens:
    return state.project_client().ens  # names are looked up in the chosen project


def _show(state: State, record: dict[str, Any]) -> None:
    if state.json:
        output.document(record)
        return
    for label in ("name", "status", "content", "seen", "owner", "transaction", "reason", "verifiedAt", "id"):
        if record[label]:
            output.result(f"{label + ':':<13}{record[label]}")


def _plain(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _safe_batch(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What Safe's Transaction Builder imports (its file format 1.0)."""
    return {
        "version": "1.0",
        "chainId": _plain(found["chainId"]),
        "meta": {"name": f"{name} -> {found['content']}"},
        "transactions": [{"to": found["to"], "value": found["value"], "data": found["data"]}],
    }
