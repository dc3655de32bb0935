"""Projects: made, changed, deleted; who may do what in them; the first start."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from af import auth, projects
from af.auth.errors import ScopeMissing
from af.core import events
from af.core.context import ANONYMOUS, SYSTEM, Context, Platform
from af.core.db import Database
from af.core.errors import Forbidden, Unauthenticated
from af.projects import Project, Role
from af.projects.errors import NoProjectSelected, ProjectNotFound, RoleTooLow
from tests.support import platforms


async def test_a_taken_slug_gets_a_number(owner: Context, platform: Platform, project: Project) -> None:
    assert project.slug == "blue-whale"
    stranger = await platforms.user(platform, "stranger")
    slugs = [(await projects.create_project(stranger, "Blue  whale!")).slug for _ in range(3)]
    assert slugs == ["blue-whale-2", "blue-whale-3", "blue-whale-4"]


async def test_a_project_is_named_by_id_or_slug(owner: Context, project: Project) -> None:
    for name in (project.id, project.slug):
        assert (await projects.authorize(owner, "sites:read", project_id=name)).id == project.id


async def test_strangers_learn_nothing(platform: Platform, project: Project) -> None:
    stranger = await platforms.user(platform, "stranger")
    for name in (project.id, project.slug, "nothing", ""):
        with pytest.raises(ProjectNotFound):
            await projects.authorize(stranger, "sites:read", project_id=name)
        with pytest.raises(Unauthenticated):
            await projects.authorize(platform.context(ANONYMOUS), "sites:read", project_id=name)
    assert await projects.list_projects(stranger) == []
    assert await projects.projects_by_id(stranger, [project.id]) == {}


async def test_role_scope_and_limit_of_a_token_all_count(platform: Platform, owner: Context, project: Project) -> None:
    viewer = await platforms.user(platform, "viewer")
    await projects.add_member(owner, project.id, user="viewer", role=Role.VIEWER)
    with pytest.raises(RoleTooLow):
        await projects.authorize(viewer, "sites:write", project_id=project.id)
    reading = replace(owner, actor=replace(owner.actor, scopes=frozenset({"sites:read"})))
    await projects.authorize(reading, "sites:read", project_id=project.id)
    with pytest.raises(ScopeMissing):
        await projects.authorize(reading, "sites:write", project_id=project.id)
    other = await projects.create_project(owner, "Other")
    limited = replace(owner, actor=replace(owner.actor, project_id=other.id))
    with pytest.raises(ProjectNotFound):
        await projects.authorize(limited, "sites:read", project_id=project.id)
    assert [p.id for p in await projects.list_projects(limited)] == [other.id]
    assert set(await projects.projects_by_id(limited, [project.id, other.id])) == {other.id}
    with pytest.raises(Forbidden):
        await projects.create_project(limited, "Third")


async def test_the_project_of_a_request_is_the_one_it_names_or_the_only_one(owner: Context, project: Project) -> None:
    assert (await projects.selected(owner)).id == project.id
    other = await projects.create_project(owner, "Other")
    with pytest.raises(NoProjectSelected):
        await projects.selected(owner)
    assert (await projects.selected(owner, other.slug)).id == other.id
    assert (await projects.selected(replace(owner, selected_project_id=other.id))).id == other.id
    limited = replace(owner, actor=replace(owner.actor, project_id=other.id))
    assert (await projects.selected(limited)).id == other.id
    with pytest.raises(ProjectNotFound):
        await projects.selected(limited, project.id)


async def test_changes_are_recorded_for_admins(owner: Context, admin: Context, project: Project) -> None:
    changed = await projects.update_project(admin, project.slug, name="Red Whale", avatar="https://example.org/a")
    assert (changed.name, changed.slug, changed.avatar) == ("Red Whale", "blue-whale", "https://example.org/a")
    assert (await projects.update_project(admin, project.id, avatar="")).avatar is None
    log = await projects.list_audit(admin, project.id)
    assert [entry.action for entry in log] == ["project.update", "project.update", "member.add", "project.create"]
    assert log[1].user_id == admin.actor.user_id
    assert log[1].before is not None
    assert log[1].after is not None
    assert (log[1].before["name"], log[1].after["name"]) == ("Blue Whale", "Red Whale")
    assert await projects.list_audit(admin, project.id, first=1, after=log[2].sequence) == [log[3]]
    kinds = [event.kind for event in await events.recorded(owner, project_id=project.id)]
    assert kinds == ["project.created", "member.add", "project.updated", "project.updated"]


async def test_a_failed_change_is_not_recorded(owner: Context, project: Project) -> None:
    with pytest.raises(RuntimeError, match="later"):
        async with owner.transaction():
            await projects.update_project(owner, project.id, name="Lost")
            raise RuntimeError("later")
    assert (await projects.get_project(owner, project.id)).name == "Blue Whale"
    assert len(await projects.list_audit(owner, project.id)) == 1


async def test_a_deleted_project_is_gone_and_its_slug_free(
    owner: Context, admin: Context, system: Context, project: Project
) -> None:
    with pytest.raises(RoleTooLow):
        await projects.delete_project(admin, project.id)
    await projects.delete_project(owner, project.id)
    for ctx in (owner, admin):
        with pytest.raises(ProjectNotFound):
            await projects.authorize(ctx, "projects:read", project_id=project.id)
        assert await projects.list_projects(ctx) == []
    assert (await projects.create_project(owner, "Blue Whale")).slug == "blue-whale"
    assert [gone.id for gone in await projects.deleted_projects(system)] == [project.id]
    assert (await projects.authorize(system, "sites:write", project_id=project.id)).deleted_at is not None
    with pytest.raises(Forbidden):
        await projects.deleted_projects(owner)


async def test_the_first_start_makes_an_owner_a_project_and_a_token_once(platform: Platform, system: Context) -> None:
    first = await projects.bootstrap(system)
    assert (first.user.username, first.user.operator, first.project.slug) == ("owner", True, "default")
    assert first.token is not None
    again = await projects.bootstrap(system)
    assert (again.user, again.project, again.token) == (first.user, first.project, None)
    assert await projects.owner_token(system) != first.token


async def test_two_first_starts_at_once_make_one_owner(platform: Platform) -> None:
    second = replace(platform, database=Database(platform.database.url))
    made = await asyncio.gather(*(projects.bootstrap(p.context(SYSTEM)) for p in (platform, second)))
    assert made[0].user.id == made[1].user.id
    assert sum(bootstrap.token is not None for bootstrap in made) == 1
    await second.database.close()


async def test_only_the_operator_may_do_what_concerns_everybody(
    platform: Platform, system: Context, owner: Context
) -> None:
    boot = await projects.bootstrap(system)
    operator = platform.context(replace(owner.actor, user_id=boot.user.id))
    await projects.authorize_operator(operator)
    await projects.authorize_operator(system)
    for refused in (
        owner,
        replace(operator, actor=replace(operator.actor, scopes=frozenset(auth.SCOPES))),
        replace(operator, actor=replace(operator.actor, project_id=boot.project.id)),
    ):
        with pytest.raises(Forbidden):
            await projects.authorize_operator(refused)
    with pytest.raises(Unauthenticated):
        await projects.authorize_operator(platform.context(ANONYMOUS))
