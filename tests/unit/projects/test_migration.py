"""A database of the first release gets organizations and a chained audit log, and keeps what it had."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from af import projects
from af.core import audit, ids, migrations
from af.core.context import Actor, ActorKind, Context
from af.core.db import async_url, migration_engine
from af.core.ids import UserId
from tests.support import platforms

THEN = datetime(2025, 5, 1, 8, 30, 0, 123456, tzinfo=UTC)


async def populated(empty_database_url: str) -> tuple[list[str], list[str]]:
    """A database at revision 0001 with three users, three projects of the first two, and their entries."""
    url = async_url(empty_database_url, Path())
    await migrations.upgrade(url, to="0001")
    users = [ids.new(ids.USER, THEN) for _ in range(3)]
    made = [ids.new(ids.PROJECT, THEN) for _ in range(3)]
    stamp = THEN.replace(tzinfo=None) if url.get_backend_name() == "sqlite" else THEN
    engine = migration_engine(url)
    async with engine.begin() as connection:
        for name, user in zip(("owner", "ada", "bob"), users, strict=True):
            await connection.execute(
                sa.text("INSERT INTO users VALUES (:id, :name, NULL, :operator, :at, :at)"),
                {"id": user, "name": name, "operator": name == "owner", "at": stamp},
            )
        for number, (project, creator) in enumerate(zip(made, (users[0], users[0], users[1]), strict=True)):
            await connection.execute(
                sa.text(
                    "INSERT INTO projects (id, name, slug, backup_storage_on_arweave, backup_storage_on_filecoin,"
                    " created_by, created_at, updated_at, deleted_at)"
                    " VALUES (:id, :slug, :slug, :no, :no, :by, :at, :at, :gone)"
                ),
                {
                    "id": project,
                    "slug": f"p{number}",
                    "no": False,
                    "by": creator,
                    "at": stamp,
                    "gone": stamp if number == 1 else None,
                },
            )
            await connection.execute(
                sa.text("INSERT INTO members VALUES (:project, :user, 'OWNER', :at)"),
                {"project": project, "user": creator, "at": stamp},
            )
        for number in range(2500):
            await connection.execute(
                sa.text(
                    "INSERT INTO audit_entries (project_id, action, target, user_id, address, request_id, after,"
                    " created_at) VALUES (:project, 'site.create', :target, :user, '::1', 'r', :after, :at)"
                ),
                {
                    "project": made[number % 3],
                    "target": f"t{number}",
                    "user": users[0],
                    "after": json.dumps({"name": "Ünï", "n": number}),
                    "at": stamp,
                },
            )
    await engine.dispose()
    return users, made


@pytest.mark.parametrize("step", [None, "0002"])
async def test_the_first_release_is_carried_over(empty_database_url: str, tmp_path: Path, step: str | None) -> None:
    users, made = await populated(empty_database_url)
    url = async_url(empty_database_url, Path())
    if step:
        await migrations.upgrade(url, to=step)
    await migrations.upgrade(url)
    async with platforms.open_platform(empty_database_url, tmp_path) as platform:

        def acting(user: str) -> Context:
            return platform.context(Actor(ActorKind.USER, user_id=UserId(user)))

        owner, ada, bob = (acting(user) for user in users)
        [(home, role)] = await projects.list_organizations(owner)
        assert (home.slug, home.personal_of, role) == ("owner", users[0], projects.OrganizationRole.OWNER)
        assert [p.id for p in await projects.list_projects(owner)] == [made[0]]
        assert (await projects.get_project(owner, "p0")).organization_id == home.id
        assert (await projects.get_project(ada, "p2")).organization_id == (await projects.ensure_home(ada)).id
        assert (await projects.ensure_home(bob)).slug == "bob", "who had no project gets one when it is needed"
        counted = 0
        for project in made:
            found = await audit.verify(owner, f"project:{project}")
            assert (found.broken_at, found.complete) == (None, True)
            counted += found.entries
        assert counted == 2500
        [newest] = await projects.list_audit(owner, made[0], first=1)
        assert (newest.created_at, newest.after, newest.sequence) == (THEN, {"name": "Ünï", "n": 2499}, 834)
        await projects.update_project(owner, made[0], name="renamed")
        assert (await projects.verify_audit(owner, made[0])).entries == 835
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            async with platform.database.writing() as connection:
                await connection.execute(sa.delete(audit.audit_entries))
