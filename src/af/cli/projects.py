"""``af projects``."""

from __future__ import annotations

import click

from af.cli import output
from af.cli.frame import Noun, State, verb


@click.group(cls=Noun)
def projects() -> None:
    """List, create, choose and delete projects."""


@verb(projects, "list")
def list_projects(state: State) -> None:
    """List the projects that you are a member of."""
    from af.cli import config
    from alternatefutures.models import as_document

    found = state.client().projects()
    if state.json:
        output.document({"data": [as_document(project) for project in found]})
        return
    chosen = config.access(state.profile).project_id
    rows = [("*" if chosen in (p.id, p.slug) else " ", p.slug, p.name, p.createdAt[:10], p.id) for p in found]
    output.table(("", "PROJECT", "NAME", "CREATED", "ID"), rows, empty="No project: `af projects create NAME`.")


@verb(projects, "create")
@click.argument("name")
def create(state: State, name: str) -> None:
    """Make a project called NAME."""
    from alternatefutures.models import as_document

    project = state.client().create_project(name)
    if state.json:
        output.document(as_document(project))
    else:
        output.result(project.id)


@verb(projects, "use")
@click.argument("project")
def use(state: State, project: str) -> None:
    """Act on PROJECT (slug or id) from now on, in this profile."""
    from af.cli import config
    from alternatefutures.errors import NotFoundHere

    client = state.client()
    found = next((p for p in client.projects() if project in (p.id, p.slug)), None)
    if found is None:
        raise NotFoundHere(f"There is no project {project!r}.", hint="`af projects list` shows the projects.")
    with config.editing() as credentials:
        name = state.profile or credentials.active
        if name not in credentials.profiles:
            raise NotFoundHere("There is no profile to remember it in.", hint=f"Set AF_PROJECT_ID={found.id} instead.")
        credentials.profiles[name]["projectId"] = found.id
    if state.json:
        output.document({"profile": name, "projectId": found.id})
    elif not state.quiet:
        output.note(f"Profile {name} now acts on {found.slug}.")


@verb(projects, "delete")
@click.argument("project")
def delete(state: State, project: str) -> None:
    """Delete PROJECT (id or slug)."""
    from alternatefutures.errors import NotFoundHere, UsageError

    client = state.client()
    found = next((p for p in client.projects() if project in (p.id, p.slug)), None)
    if found is None:
        raise NotFoundHere(f"There is no project {project!r}.", hint="`af projects list` shows the projects.")
    if not state.yes:
        if not state.interactive:
            raise UsageError(f"Deleting {found.slug} needs a confirmation.", hint="Add --yes.")
        click.confirm(f"Delete project {found.slug} with everything in it?", abort=True, err=True)
    client.delete_project(found.id)
    if state.json:
        output.document({"id": found.id, "deleted": True})
    elif not state.quiet:
        output.note(f"Deleted {found.slug}.")
