"""``af ipns``: names that lead to changing content."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import Noun, State, verb

if TYPE_CHECKING:
    from alternatefutures import Client

_FORMATS = ("libp2p-protobuf-cleartext", "pem-pkcs8-cleartext")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RECORD_BYTES_MAX = 10 * 1024
_KEY_BYTES_MAX = 16 * 1024


@click.group(cls=Noun)
def ipns() -> None:
    """Names that lead to changing content: keys, records, publishing. NAME is k51…, a label or an id."""


@verb(ipns, "create")
@click.argument("label", required=False)
@click.option("--site", help="Make the name of this site, which follows every deployment.")
def create(state: State, label: str | None, site: str | None) -> None:
    """Make a new key. Prints its name."""
    from alternatefutures.errors import UsageError

    client = state.project_client()
    if site is not None and label is not None:
        raise UsageError("The name of a site has no label.")
    _show(state, client.ipns.create(label) if site is None else client.ipns.for_site(site_id(client, site)))


@verb(ipns, "list")
def list_names(state: State) -> None:
    """List the project's names and where they lead."""
    _table(state, list(state.project_client().ipns.names()), "None yet: `af ipns create`, or `af ipns put NAME FILE`.")


@verb(ipns, "keys")
def list_keys(state: State) -> None:
    """List the names whose private key is kept here."""
    found = [name for name in state.project_client().ipns.names() if name["keyType"]]
    _table(state, found, "None yet: `af ipns create`, or `af ipns import FILE`.")


@verb(ipns, "publish")
@click.argument("name")
@click.argument("value")
@click.option("--lifetime", help="How long the record is valid: 48h by default; renewed by itself.")
@click.option("--ttl", help="How long readers may keep the answer: 5m by default.")
@click.option("--sequence", type=int, help="Instead of one more than the newest record's.")
def publish(state: State, name: str, value: str, lifetime: str | None, ttl: str | None, sequence: int | None) -> None:
    """Lead NAME to VALUE: a CID, /ipfs/… or /ipns/…."""
    published = state.project_client().ipns.publish(
        name, value, lifetime_seconds=_seconds(lifetime), ttl_seconds=_seconds(ttl), sequence=sequence
    )
    if not state.json and not state.quiet:
        output.note(f"{published['name']} leads to {published['value']} (sequence {published['sequence']:.0f}).")
    _show(state, published)


@verb(ipns, "put")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def put(state: State, name: str, file: Path) -> None:
    """Keep the record in FILE that was signed elsewhere for NAME."""
    client = state.project_client()
    kept = client.ipns.put(client.project().id, name, _read(file, _RECORD_BYTES_MAX))
    if not state.json and not state.quiet:
        output.note(f"{kept['name']} leads to {kept['value']} (sequence {kept['sequence']}).")
    _show(state, kept)


@verb(ipns, "get")
@click.argument("name")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="Write here instead of stdout.")
def get(state: State, name: str, target: Path | None) -> None:
    """Fetch the newest record of NAME, as it was signed."""
    client = state.project_client()
    _deliver(state, target, client.ipns.get(client.project().id, name), {"name": name}, mode=0o644)


@verb(ipns, "resolve")
@click.argument("name")
def resolve(state: State, name: str) -> None:
    """Print the /ipfs/ path that NAME, or a domain with DNSLink, leads to."""
    path = state.project_client().ipns.resolve(name)
    if state.json:
        output.document({"name": name, "path": path})
        return
    output.result(path)


@verb(ipns, "import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--label", help="What to call it.")
def import_key(state: State, file: Path, label: str | None) -> None:
    """Take in a private key that `ipfs key export` wrote, in either format. Prints its name."""
    _show(state, state.project_client().ipns.import_key(_read(file, _KEY_BYTES_MAX), label))


@verb(ipns, "export")
@click.argument("name")
@click.option("--format", "key_format", type=click.Choice(_FORMATS), default=_FORMATS[0], show_default=True)
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="Write here, readable by you alone.")
def export(state: State, name: str, key_format: str, target: Path | None) -> None:
    """Give out the private key of NAME, as `ipfs key export` does. Whoever has it speaks for the name."""
    full, key = state.project_client().ipns.export_key(name, key_format)
    _deliver(state, target, key, {"name": full, "format": key_format}, mode=0o600)


@verb(ipns, "rotate")
@click.argument("name")
def rotate(state: State, name: str) -> None:
    """Replace the key of NAME. The old name then leads to the new one, which is printed."""
    made = state.project_client().ipns.rotate(name)
    if not state.json and not state.quiet:
        output.note(f"The old name leads to {made['name']} from now on.")
    _show(state, made)


@verb(ipns, "delete")
@click.argument("name")
def delete(state: State, name: str) -> None:
    """Forget NAME, its record and its private key. Export the key first if you may want the name again."""
    from alternatefutures.errors import UsageError

    client = state.project_client()
    found = client.ipns.name(name)
    if found["keyType"] and not state.yes:
        if not state.interactive:
            raise UsageError("The private key would be lost for good.", hint="Add --yes if that is what you want.")
        click.confirm(f"Delete {found['name']} with its private key?", abort=True, err=True)
    client.ipns.delete(found["id"])
    if state.json:
        output.document({"id": found["id"], "name": found["name"], "deleted": True})
    elif not state.quiet:
        output.note(f"Deleted {found['name']}.")


@verb(ipns, "dnslink")
@click.argument("site")
@click.option("--host", help="Your domain; the site's own address by default.")
def dnslink(state: State, site: str, host: str | None) -> None:
    """Print the TXT record that leads a domain to SITE."""
    from alternatefutures.errors import UsageError

    client = state.project_client()
    link = client.ipns.dnslink(site_id(client, site), host)
    if link is None:
        raise UsageError(f"{site} has neither content nor an IPNS name.", hint=f"`af ipns create --site {site}`.")
    if state.json:
        output.document(link)
        return
    output.result(f'{link["name"]} {link["type"]} "{link["value"]}"')


# --- what verbs share ------------------------------------------------------------------------------------------------


def site_id(client: Client, name: str) -> str:
    """The id of the site that is called ``name``. :raises NotFoundHere:"""
    from alternatefutures.errors import NotFoundHere

    site = client.site(name)
    if site is None:
        raise NotFoundHere(f"There is no site {name!r}.", hint="`af sites list` shows your sites.")
    return site.id


def _show(state: State, name: dict[str, Any]) -> None:
    if state.json:
        output.document(name)
    else:
        output.result(name["name"])


def _table(state: State, found: Sequence[dict[str, Any]], empty: str) -> None:
    if state.json:
        output.document({"data": found})
        return
    rows = [
        (
            name["name"],
            name["label"] or (name["site"] or {}).get("slug") or "-",
            name["keyType"] or "-",
            name["value"] or "-",
            (name["validUntil"] or "-")[:19],
        )
        for name in found
    ]
    output.table(("NAME", "LABEL", "KEY", "LEADS TO", "VALID UNTIL"), rows, empty=empty)


def _seconds(text: str | None) -> float | None:
    """``48h``, ``1h30m``, ``90``: seconds without a unit."""
    from alternatefutures.errors import UsageError

    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text or len(text) > 30:
        raise UsageError(
            f"{text!r} is not a duration.", hint="Use seconds, minutes, hours or days: 90s, 5m, 1h30m, 7d."
        )
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)


def _read(file: Path, bytes_max: int) -> bytes:
    from alternatefutures.errors import UsageError

    try:
        with file.open("rb") as source:
            data = source.read(bytes_max + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read.", cause=error.strerror or "") from error
    if len(data) > bytes_max:
        raise UsageError(f"{file} is too large: at most {bytes_max:,} bytes are expected.")
    return data


def _deliver(state: State, target: Path | None, data: bytes, document: dict[str, Any], *, mode: int) -> None:
    """To the file, or to stdout."""
    from alternatefutures.errors import UsageError

    if target is None:
        if state.json:
            raise UsageError("These bytes and a JSON object cannot share stdout.", hint="Add --output FILE.")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
    except OSError as error:
        raise UsageError(f"{target} cannot be written.", cause=error.strerror or "") from error
    if state.json:
        output.document({**document, "file": str(target), "bytes": len(data)})
    elif not state.quiet:
        output.note(f"Wrote {len(data):,} bytes to {target}.")
