"""``af sites``."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.deploy import find_site
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def sites() -> None:
    """List, create, rename and delete sites."""


@verb(sites, "list")
def list_sites(state: State) -> None:
    """List the project's sites and their addresses."""
    from alternatefutures.models import as_document

    found = state.client().sites()
    if state.json:
        output.document({"data": [as_document(site) for site in found]})
        return
    rows = [
        (s.slug, s.url, s.currentDeployment.cid if s.currentDeployment else "-", s.createdAt[:10], s.id) for s in found
    ]
    output.table(("SITE", "ADDRESS", "CID", "CREATED", "ID"), rows, empty="No site yet. Make one: `af deploy FOLDER`.")


@verb(sites, "create")
@click.argument("name")
@click.option("--slug", help="Name in the address; made from NAME by default.")
def create(state: State, name: str, slug: str | None) -> None:
    """Make an empty site called NAME."""
    from alternatefutures.models import as_document

    site = state.client().create_site(name, slug=slug)
    if state.json:
        output.document(as_document(site))
    else:
        output.result(site.url)


@verb(sites, "get")
@click.argument("site")
def get(state: State, site: str) -> None:
    """Show one site."""
    from alternatefutures.models import as_document

    found = find_site(state.client(), state, site)
    if state.json:
        output.document(as_document(found))
        return
    current = found.currentDeployment
    rows = [("name", found.name), ("address", found.url), ("id", found.id), ("created", found.createdAt)]
    if current:
        rows += [("deployment", current.id), ("cid", current.cid), ("files", str(current.files))]
    for label, text in rows:
        output.result(f"{label:<11} {text}")


@verb(sites, "rename")
@click.argument("site")
@click.argument("slug")
@click.option("--name", help="Also change the title.")
def rename(state: State, site: str, slug: str, name: str | None) -> None:
    """Give SITE the address SLUG; the old address stops working."""
    from alternatefutures.models import as_document

    client = state.client()
    renamed = client.rename_site(find_site(client, state, site).id, slug=slug, name=name)
    if state.json:
        output.document(as_document(renamed))
    else:
        output.result(renamed.url)


@verb(sites, "delete")
@click.argument("site")
def delete(state: State, site: str) -> None:
    """Delete SITE with all its deployments."""
    from alternatefutures.errors import UsageError

    client = state.client()
    found = find_site(client, state, site)
    if not state.yes:
        if not state.interactive:
            raise UsageError(f"Deleting {found.slug} needs a confirmation.", hint="Add --yes.")
        click.confirm(f"Delete {found.slug} and all its deployments?", abort=True, err=True)
    client.delete_site(found.id)
    if state.json:
        output.document({"id": found.id, "deleted": True})
    elif not state.quiet:
        output.note(f"Deleted {found.slug}.")


@verb(sites, "deployments")
@click.argument("site", required=False)
def deployments(state: State, site: str | None) -> None:
    """List SITE's deployments, newest first."""
    from alternatefutures.models import as_document

    client = state.client()
    found = client.deployments(find_site(client, state, site).id)
    if state.json:
        output.document({"data": [as_document(deployment) for deployment in found]})
        return
    rows = [
        ("*" if d.current else " ", d.id, d.status, d.createdAt[:19], output.size(d.bytes), d.cid, d.message or "")
        for d in found
    ]
    output.table(
        ("", "DEPLOYMENT", "STATUS", "CREATED", "SIZE", "CID", "NOTE"), rows, empty="No deployment yet: `af deploy`."
    )
