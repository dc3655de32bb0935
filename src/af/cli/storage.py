"""``af storage``: content by CID, without a site."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from af.cli import output
from af.cli.deploy import PROFILES, show
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def storage() -> None:
    """Store and fetch content by CID."""


@verb(storage, "add")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Name of the pin; the file's or folder's name by default.")
@click.option("--hidden", is_flag=True, help="Include hidden files (never version control).")
@click.option("--unixfs", type=click.Choice(PROFILES), default=PROFILES[0], help="CID profile.")
@click.option("--wrap", is_flag=True, help="Put a single file into a folder, so that its name is kept.")
@click.option("--to", type=click.Choice(("ipfs", "arweave")), default="ipfs", help="On Arweave, too; that costs.")
@click.option("--estimate", is_flag=True, help="With --to arweave: say what it costs, and store nothing.")
@click.option("--wait", "waits", is_flag=True, help="With --to arweave: until the network has it for good.")
def add(
    state: State,
    path: Path,
    name: str | None,
    hidden: bool,
    unixfs: str,
    wrap: bool,
    to: str,
    estimate: bool,
    waits: bool,
) -> None:
    """Store a file or folder and keep it (pin it). Prints the CID, which is computed on this machine; with --to arweave
    the address there."""
    if to == "arweave" and not wrap:
        from af.cli import arweave

        arweave.put(state, path, name=name, hidden=hidden, profile=unixfs, estimate=estimate, waits=waits)
        return
    if to == "arweave":
        raise click.UsageError("Arweave keeps the names of single files; leave out --wrap.")
    if estimate or waits:
        raise click.UsageError("--estimate and --wait need --to arweave.")
    steps = output.Steps(quiet=state.quiet)
    pin, uploaded = state.client().add(
        path, profile=unixfs, hidden=hidden, name=name, wrap=wrap, report=lambda progress: show(steps, progress)
    )
    if state.json:
        shown = {"cid": pin.cid, "name": pin.name, "size": pin.size}
        output.document(shown | {"pin": shown, "uploadedFiles": uploaded.files, "uploadedBytes": uploaded.bytes})
        return
    steps.done("Upload", f"{uploaded.files:,} files · {output.size(uploaded.bytes)}")
    output.result(pin.cid)


@verb(storage, "arweave")
@click.argument("ref")
@click.option("--wait", "waits", is_flag=True, help="Until the network has it for good.")
def on_arweave(state: State, ref: str, waits: bool) -> None:
    """Show how far an upload to Arweave is, by the REF that `add --to arweave` gave."""
    from af.cli import arweave

    arweave.standing(state, ref, waits=waits)


@verb(storage, "list")
def list_pins(state: State) -> None:
    """List what the project keeps."""
    _list_pins(state)


@verb(storage, "ls")
@click.argument("address", metavar="CID[/PATH]", required=False)
def list_folder(state: State, address: str | None) -> None:
    """List a folder by CID; without CID, what the project keeps."""
    if address is None:
        _list_pins(state)
        return
    cid, path = _split(address)
    found = list(state.client().files.list(cid, path))
    if state.json:
        entries = [{"name": e.name, "cid": e.cid, "kind": e.kind, "size": e.size} for e in found]
        output.document({"cid": cid, "path": path, "data": entries})
        return
    rows = [(e.name + ("/" if e.kind == "folder" else ""), output.size(e.size), e.kind, e.cid) for e in found]
    output.table(("NAME", "SIZE", "KIND", "CID"), rows, empty="The folder is empty.")


def _list_pins(state: State) -> None:
    from alternatefutures.models import as_document

    pins = state.client().pins()
    if state.json:
        output.document({"data": [as_document(pin) for pin in pins]})
        return
    rows = [(pin.cid, pin.name or "-", output.size(pin.size), pin.createdAt[:19]) for pin in pins]
    output.table(("CID", "NAME", "SIZE", "CREATED"), rows, empty="Nothing is kept yet: `af storage add PATH`.")


@verb(storage, "get")
@click.argument("address", metavar="CID[/PATH]")
@click.argument("inner", required=False, default="")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="Write here: a file, or a new folder.")
@click.option("--car", is_flag=True, help="The same as `af storage export`.")
def get(state: State, address: str, inner: str, target: Path | None, car: bool) -> None:
    """Fetch a file or a whole folder by CID (and path INNER inside it). With --output everything is checked against
    its CID; without, a file goes to stdout."""
    from alternatefutures.errors import UsageError

    if car:
        _export(state, address, target)
        return
    cid, path = _split(address, inner)
    if target is None and state.json:
        raise UsageError("Content and a JSON object cannot share stdout.", hint="Add --output FILE.")
    client = state.client()
    found = client.files.look(cid, path)
    if target is None and found.kind == "folder":
        raise UsageError(
            f"{address} is a folder, which cannot go to stdout.",
            hint=f"af storage get {address} -o FOLDER, or see what it holds: af storage ls {address}",
        )
    if target is None:
        _to_stdout(client.read_file(cid, path))
        return
    if found.kind == "file" and target.is_dir():
        target = target / (path.rpartition("/")[2] or cid)
    steps = output.Steps(quiet=state.quiet)
    written = client.files.fetch(cid, target, path=path, count=lambda n: steps.going("Fetch", output.size(n)))
    steps.clear()
    if state.json:
        output.document({"cid": found.cid, "file": str(target), "files": written.files, "bytes": written.bytes})
    elif not state.quiet:
        files = f"{written.files:,} files, " if found.kind == "folder" else ""
        output.note(f"Wrote {files}{output.size(written.bytes)} to {target}.")


@verb(storage, "export")
@click.argument("cid")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="The CAR file; else stdout.")
def export(state: State, cid: str, target: Path | None) -> None:
    """Fetch everything under CID as a CAR file, checked whole."""
    _export(state, cid, target)


def _export(state: State, address: str, target: Path | None) -> None:
    from alternatefutures.errors import UsageError

    cid, path = _split(address)
    client = state.client()
    if path:
        cid = client.files.look(cid, path).cid
    if target is None:
        if state.json or sys.stdout.isatty():
            raise UsageError("A CAR file is binary and needs a place of its own.", hint=f"Add -o {cid}.car.")
        _to_stdout(client.export_car(cid))
        return
    steps = output.Steps(quiet=state.quiet)
    written = client.files.export(cid, target, count=lambda n: steps.going("Fetch", output.size(n)))
    steps.clear()
    if state.json:
        output.document({"cid": cid, "file": str(target), "blocks": written.blocks, "bytes": written.bytes})
    elif not state.quiet:
        output.note(f"Wrote {output.size(written.bytes)} to {target}.")


def _to_stdout(pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _split(address: str, inner: str = "") -> tuple[str, str]:
    """The CID and the path of ``CID/path``, ``/ipfs/CID/path`` or ``ipfs://CID/path``, with ``inner`` behind it."""
    text = address.removeprefix("ipfs://")
    if text.startswith(("/ipfs/", "ipfs/")):
        text = text.partition("ipfs/")[2]
    cid, _, path = text.partition("/")
    return cid, "/".join(part for part in (path.strip("/"), inner.strip("/")) if part)


@verb(storage, "pin")
@click.argument("cid")
@click.option("--name", help="A name to find it by.")
@click.option("--private", is_flag=True, help="Keep it visible to this project only.")
def pin(state: State, cid: str, name: str | None, private: bool) -> None:
    """Keep content that is here already. (`af pins add CID` fetches it from elsewhere.)"""
    kept = state.client().files.pin(_split(cid)[0], name=name, public=not private)
    if state.json:
        output.document({"cid": kept.cid, "name": kept.name, "size": kept.size})
        return
    output.result(kept.cid)


@verb(storage, "rm")
@click.argument("cid")
def remove(state: State, cid: str) -> None:
    """Stop keeping CID; its blocks go at the next garbage collection unless something else needs them."""
    _remove(state, cid)


@verb(storage, "delete")
@click.argument("cid")
def delete(state: State, cid: str) -> None:
    """The same as `af storage rm`."""
    _remove(state, cid)


def _remove(state: State, cid: str) -> None:
    cid = _split(cid)[0]
    state.client().unpin(cid)
    if state.json:
        output.document({"cid": cid, "deleted": True})
    elif not state.quiet:
        output.note(f"No longer kept: {cid}")


@verb(storage, "import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--private", is_flag=True, help="Keep the blocks visible to this project only.")
def import_car(state: State, file: Path, private: bool) -> None:
    """Take in a CAR file, whole or partial."""
    steps = output.Steps(quiet=state.quiet)
    total = output.size(file.stat().st_size)
    document = state.client().import_car(
        file, public=not private, count=lambda n: steps.going("Upload", f"{output.size(n)} of {total}")
    )
    steps.clear()
    if state.json:
        output.document(document)
        return
    complete = "complete" if document["complete"] else "blocks below the roots are missing: nothing is kept yet"
    output.note(f"{document['blocks']:,} blocks ({document['newBlocks']:,} new) · {complete}")
    for root in document["roots"]:
        output.result(root)


@verb(storage, "verify")
@click.argument("cid")
def verify(state: State, cid: str) -> None:
    """Ask every place that should have CID for it, and hash what it gives. Exits with 1 when it is not whole."""
    from af.cli import replication

    replication.verify(state, cid)


@verb(storage, "stats")
def stats(state: State) -> None:
    """Show the block store's size."""
    document = state.client().storage_stats()
    if state.json:
        output.document(document)
        return
    output.result(
        f"{document['blocks']:,} blocks · {output.size(document['bytes'])} in {document['segments']} segments"
    )
    output.result(f"{output.size(document['deadBytes'])} can be reclaimed by `af storage gc`")


@verb(storage, "gc")
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
def gc(state: State, dry_run: bool) -> None:
    """Remove blocks that no deployment or pin needs."""
    document = state.client().collect_garbage(dry_run=dry_run)
    if state.json:
        output.document(document)
        return
    verb_text = "would go" if dry_run else "removed"
    output.result(f"{document['blocks']:,} blocks · {output.size(document['bytes'])} {verb_text}")


@verb(storage, "scrub")
def scrub(state: State) -> None:
    """Hash every block again and report damage. Exits with 1 when there is any."""
    document = state.client().scrub()
    if state.json:
        output.document(document)
    else:
        output.result(f"{document['blocks']:,} blocks · {output.size(document['bytes'])} checked")
        for cid in document["corrupt"]:
            output.result(f"damaged: {cid}")
    if document["corrupt"]:
        click.get_current_context().exit(1)
