"""``af storage``: content by CID, without a site."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from af.cli import output
from af.cli.deploy import PROFILES
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def storage() -> None:
    """Store and fetch content by CID."""


@verb(storage, "add")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="Name of the pin; the file's or folder's name by default.")
@click.option("--hidden", is_flag=True, help="Include hidden files (never version control).")
@click.option("--unixfs", type=click.Choice(PROFILES), default=PROFILES[0], help="CID profile.")
def add(state: State, path: Path, name: str | None, hidden: bool, unixfs: str) -> None:
    """Store a file or folder and keep it (pin it). Prints the CID."""
    steps = output.Steps(quiet=state.quiet)
    pin, uploaded = state.client().add(
        path,
        profile=unixfs,
        hidden=hidden,
        name=name,
        report=lambda p: steps.going("Upload", f"{output.size(p.bytes)} of at most {output.size(p.bytes_total)}"),
    )
    if state.json:
        shown = {"cid": pin.cid, "name": pin.name, "size": pin.size}
        output.document({"pin": shown, "uploadedFiles": uploaded.files, "uploadedBytes": uploaded.bytes})
        return
    steps.done("Upload", f"{uploaded.files:,} files · {output.size(uploaded.bytes)}")
    output.result(pin.cid)


@verb(storage, "list")
def list_pins(state: State) -> None:
    """List what the project keeps."""
    from alternatefutures.models import as_document

    pins = state.client().pins()
    if state.json:
        output.document({"data": [as_document(pin) for pin in pins]})
        return
    rows = [(pin.cid, pin.name or "-", output.size(pin.size), pin.createdAt[:19]) for pin in pins]
    output.table(("CID", "NAME", "SIZE", "CREATED"), rows, empty="Nothing is kept yet: `af storage add PATH`.")


@verb(storage, "get")
@click.argument("cid")
@click.argument("inner", required=False, default="")
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="Write here instead of stdout.")
@click.option("--car", is_flag=True, help="Fetch the whole DAG as a CAR file.")
def get(state: State, cid: str, inner: str, target: Path | None, car: bool) -> None:
    """Fetch a file by CID (and path INNER inside it), or with --car everything under CID."""
    from alternatefutures.errors import UsageError

    if target is None and state.json:
        raise UsageError("Content and a JSON object cannot share stdout.", hint="Add --output FILE.")
    client = state.client()
    pieces = client.export_car(cid) if car else client.read_file(cid, inner)
    if target is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    written = _write_whole(target, pieces)
    if state.json:
        output.document({"cid": cid, "file": str(target), "bytes": written})
    elif not state.quiet:
        output.note(f"Wrote {output.size(written)} to {target}.")


def _write_whole(target: Path, pieces: Iterator[bytes]) -> int:
    """Write the file in one step, or nothing; returns its size in bytes."""
    unfinished = target.with_name(target.name + ".part")
    from alternatefutures.errors import UsageError

    written = 0
    try:
        with unfinished.open("wb") as file:
            for piece in pieces:
                written += file.write(piece)
        unfinished.replace(target)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise UsageError(f"{target} cannot be written.", cause=error.strerror or "") from error
        raise
    return written


@verb(storage, "delete")
@click.argument("cid")
def delete(state: State, cid: str) -> None:
    """Stop keeping CID; its blocks go at the next garbage collection unless something else needs them."""
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
    document = state.client().import_car(file, public=not private)
    if state.json:
        output.document(document)
        return
    complete = "complete" if document["complete"] else "blocks below the roots are missing"
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
