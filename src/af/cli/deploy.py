"""``af deploy``, ``rollback``, ``promote``, ``diff``, ``logs``, ``open``: a site's life, one deployment at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from af.cli import output
from af.cli.frame import State, command

if TYPE_CHECKING:
    from alternatefutures import Client, Deployment, DeployResult, Progress, Site

PROFILES = ("unixfs-v1-2025", "kubo-default", "v0-2015")
_CLASHES_SHOWN = 3
_FINAL = frozenset({"ready", "failed", "canceled"})


@command("deploy")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--site", help="Site to deploy to (slug or id); made when it does not exist.")
@click.option("--preview", is_flag=True, help="Give it an address of its own; leave what visitors see as it is.")
@click.option("--message", "-m", help="A note that the list of deployments shows.")
@click.option("--hidden", is_flag=True, help="Include hidden files (never version control).")
@click.option("--unixfs", type=click.Choice(PROFILES), default=PROFILES[0], help="CID profile.")
@click.option("--dry-run", is_flag=True, help="Compute the CID and say what would be published; send nothing.")
def deploy(
    state: State,
    folder: Path | None,
    site: str | None,
    preview: bool,
    message: str | None,
    hidden: bool,
    unixfs: str,
    dry_run: bool,
) -> None:
    """Put FOLDER live; without FOLDER, the built output or static files found here.

    Its CID is computed on this machine, only what the platform lacks is sent, and the switch is atomic.
    """
    from af.cli import config, detect

    steps = output.Steps(quiet=state.quiet)
    settings = config.project_file(state.folder)
    if folder is None:
        found = detect.detect(state.folder, settings)
        target, what, name = found.folder, found.what, _name_of(state.folder)
    else:
        target, what = state.folder / folder, "folder"
        name = _name_of(target)
        inside = config.project_file(target, programs=False)
        settings = inside if inside.site else settings
    if dry_run:
        _dry_run(state, target, unixfs, hidden)
        return
    client = state.client()
    result: DeployResult = client.deploy(
        target,
        site or settings.site or name,
        production=not preview,
        message=message,
        profile=unixfs,
        hidden=hidden,
        report=lambda progress: show(steps, progress),
    )
    if not state.quiet:
        _note_case_clashes(result.case_clashes)
    _print_deployed(state, steps, result, what)


def _name_of(folder: Path) -> str:
    """The folder's own name; bytes in it that are not UTF-8 become U+FFFD."""
    return os.fsencode(folder.resolve().name).decode("utf-8", "replace")


def _dry_run(state: State, target: Path, profile: str, hidden: bool) -> None:
    from af.protocols.ipfs import cid as cids
    from af.protocols.ipfs.unixfs import PROFILES as KNOWN
    from alternatefutures import folder as folders

    plan = folders.plan(target, profile=KNOWN[profile], hidden=hidden)
    if not state.quiet:
        _note_case_clashes(plan.case_clashes)
    root = cids.to_text(plan.root)
    if state.json:
        output.document({"cid": root, "files": plan.files, "bytes": plan.bytes, "profile": profile})
    else:
        output.note(f"{plan.files:,} files · {output.size(plan.bytes)} · {profile}")
        output.result(root)


def _note_case_clashes(clashes: list[tuple[str, ...]]) -> None:
    """Said on stderr, under ``--json`` too: it is no failure, and nothing that a program needs."""
    for group in clashes[:_CLASHES_SHOWN]:
        output.note(f"note: {' and '.join(group)} differ by case only; macOS and Windows cannot hold both.")
    if len(clashes) > _CLASHES_SHOWN:
        output.note(f"note: {len(clashes) - _CLASHES_SHOWN:,} more names differ by case only.")


def show(steps: output.Steps, progress: Progress) -> None:
    """Progress of an upload, on a terminal."""
    if progress.phase == "hash":
        steps.going("Hash", f"{progress.files:,} files · {output.size(progress.bytes)}")
    elif progress.phase == "upload":
        steps.going("Upload", f"{output.size(progress.bytes)} of at most {output.size(progress.bytes_total)}")
    else:
        steps.going("Publish", "")


def _print_deployed(state: State, steps: output.Steps, result: DeployResult, what: str) -> None:
    site, deployment, sent = result.site, result.deployment, result.uploaded
    if state.json:
        output.document(
            {
                "site": {"id": site.id, "slug": site.slug, "url": site.url},
                "deployment": {
                    "id": deployment.id,
                    "status": deployment.status,
                    "cid": deployment.cid,
                    "url": deployment.url,
                    "files": result.files,
                    "bytes": result.bytes,
                    "uploadedFiles": sent.files,
                    "uploadedBytes": sent.bytes,
                    "durationMs": result.duration_ms,
                    "production": deployment.production,
                    "rejectedRules": deployment.rejectedRules,
                },
            }
        )
        return
    skipped = f" · {result.hidden_skipped} hidden left out" if result.hidden_skipped else ""
    steps.done("Detected", f"{what} · {result.files:,} files · {output.size(result.bytes)}{skipped}")
    steps.done("Upload", f"{sent.files:,} of {result.files:,} files changed · {output.size(sent.bytes)}")
    steps.done("Verify", f"the live root is the local root, {deployment.cid}")
    for rule in deployment.rejectedRules:
        steps.done("Ignored", f"line {rule['line']}: {rule['text']} ({rule['reason']})")
    if deployment.production:
        steps.done("Live", f"in {result.duration_ms / 1000:.2f} s · this deployment: {deployment.url}")
        steps.done("Undo", "with af rollback")
    else:
        steps.done("Preview", f"in {result.duration_ms / 1000:.2f} s · publish it with af promote {deployment.id}")
    output.result(site.url if deployment.production else deployment.url)


def find_site(client: Client, state: State, name: str | None) -> Site:
    """The site that a verb without a name means: ``--site``, the project file's, the folder's, or the only one."""
    from af.cli import config
    from alternatefutures.client import slug_of
    from alternatefutures.errors import NotFoundHere

    wanted = name or config.project_file(state.folder).site
    if wanted:
        site = client.site(wanted if wanted.startswith("sit_") else slug_of(wanted))  # as `af deploy` finds it
        if site is None:
            raise NotFoundHere(f"There is no site {wanted!r}.", hint="`af sites list` shows the sites.")
        return site
    site = client.site(slug_of(_name_of(state.folder)))
    if site is not None:
        return site
    every = client.sites()
    if len(every) == 1:
        return every[0]
    raise NotFoundHere(
        "It is not clear which site you mean." if every else "There is no site yet.",
        hint="Name it with --site; `af sites list` shows the sites." if every else "Make one: `af deploy FOLDER`.",
    )


def _print_live(state: State, deployment: Deployment, site: Site, verb: str) -> None:
    if state.json:
        output.document({"site": _site_keys(site), "deployment": _deployment_keys(deployment)})
        return
    if not state.quiet:
        output.note(f"{verb} {site.slug} to {deployment.cid}")
    output.result(site.url)


def _site_keys(site: Site) -> dict[str, Any]:
    return {"id": site.id, "slug": site.slug, "url": site.url}


def _deployment_keys(deployment: Deployment) -> dict[str, Any]:
    from alternatefutures.models import as_document

    return as_document(deployment)


@command("rollback")
@click.argument("deployment", required=False)
@click.option("--site", help="Site to roll back (slug or id).")
def rollback(state: State, deployment: str | None, site: str | None) -> None:
    """Go back to DEPLOYMENT, or to the one before the present one. Content, redirects and headers go together."""
    client = state.client()
    if deployment is not None:
        _, target = client.deployment(deployment)
    else:
        target = find_site(client, state, site)
    made, at = client.rollback(target.id, deployment)
    _print_live(state, made, at, "Rolled back")


@command("promote")
@click.argument("deployment")
def promote(state: State, deployment: str) -> None:
    """Make DEPLOYMENT (a preview, say) the one that visitors see."""
    made, site = state.client().promote(deployment)
    _print_live(state, made, site, "Promoted")


@command("diff")
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.option("--site", help="Site whose last two deployments are compared when none are named.")
def diff(state: State, before: str | None, after: str | None, site: str | None) -> None:
    """Show files, redirects and headers that differ between deployments BEFORE and AFTER.

    With one id it is compared with what is live; with none, the last two production deployments are compared.
    """
    from alternatefutures.errors import NotFoundHere

    client = state.client()
    if before is None or after is None:
        target = client.deployment(before)[1] if before else find_site(client, state, site)
        ready = [d for d in client.deployments(target.id) if d.status == "ready" and d.production]
        if before is not None:
            before, after = ready[0].id if ready else before, before
        elif len(ready) < 2:
            raise NotFoundHere("This site has fewer than two deployments to compare.", hint="Deploy a change first.")
        else:
            after, before = ready[0].id, ready[1].id
    changes = client.diff(before, after)
    if state.json:
        output.document(changes)
        return
    for mark, color, files in (("+", "32", changes["added"]), ("-", "31", changes["removed"])):
        for file in files:
            output.result(output.colored(color, f"{mark} {file['path']}  {output.size(file['bytes'])}", sys.stdout))
    for change in changes["changed"]:
        sizes = f"{output.size(change['bytesBefore'])} → {output.size(change['bytesAfter'])}"
        output.result(output.colored("33", f"~ {change['path']}  {sizes}", sys.stdout))
    for mark, rules in (
        ("+ redirect", changes["redirectsAdded"]),
        ("- redirect", changes["redirectsRemoved"]),
        ("+ header", changes["headersAdded"]),
        ("- header", changes["headersRemoved"]),
    ):
        for rule in rules:
            output.result(f"{mark} {rule}")
    if changes["truncated"]:
        output.note("The list was cut; there are more differences.")
    if not state.quiet:
        added, removed, changed = (len(changes[key]) for key in ("added", "removed", "changed"))
        output.note(f"{added} added, {removed} removed, {changed} changed · {before} → {after}")


@command("logs")
@click.argument("deployment", required=False)
@click.option("--site", help="Site whose latest deployment is meant when none is named.")
@click.option("--follow", "-f", is_flag=True, help="Wait for further events until the deployment ends.")
def logs(state: State, deployment: str | None, site: str | None, follow: bool) -> None:
    """Show what happened to DEPLOYMENT (by default the latest of the site)."""
    from alternatefutures.errors import NotFoundHere

    client = state.client()
    if deployment is None:
        listed = client.deployments(find_site(client, state, site).id)
        if not listed:
            raise NotFoundHere("This site has no deployment yet.", hint="Make one: `af deploy FOLDER`.")
        deployment = listed[0].id
    found, _ = client.deployment(deployment)
    entries = client.deployment_logs(deployment, follow=follow and found.status not in _FINAL)
    shown = []
    for entry in entries:
        if state.jsonl:
            output.line(entry)
        elif state.json:
            shown.append(entry)
        else:
            output.result(f"{entry['timestamp']}  {entry['level']:<5}  {entry['message']}")
    if state.json and not state.jsonl:
        output.document({"data": shown})


@command("open")
@click.argument("site", required=False)
def open_site(state: State, site: str | None) -> None:
    """Open SITE in the browser; prints its address, and only that where there is no terminal."""
    target = find_site(state.client(), state, site)
    if state.json:
        output.document({"url": target.url})
        return
    output.result(target.url)
    if state.interactive:
        click.launch(target.url)
