"""The REST edge of teams: exports that a spreadsheet cannot run, and what `GET /auth/me` tells of organizations."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import pytest

from af import projects
from af.core import audit
from af.core.context import Context, Platform
from af.projects import Project
from af.server import targets
from tests.support import platforms
from tests.support.asgi import AsgiClient


@pytest.fixture
async def client(platform: Platform, owner: Context) -> AsgiClient:
    return AsgiClient(targets.edge_application(platform, {"api"})).as_token(await platforms.token(owner))


async def test_the_export_has_every_entry_and_can_be_verified_by_itself(
    client: AsgiClient, owner: Context, project: Project
) -> None:
    for number in range(3):
        await projects.update_project(owner, project.id, name=f"name {number}")
    reply = await client.get(f"/v1/projects/{project.slug}/audit")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/jsonl"
    entries = [json.loads(line) for line in reply.body.decode().splitlines()]
    assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4]
    before = ""
    for entry in entries:
        fields = {**entry, "created_at": datetime.fromisoformat(entry["created_at"])}
        assert entry["previous_hash"] == before
        assert entry["hash"] == audit.entry_hash(fields)
        before = entry["hash"]
    some = await client.get(f"/v1/projects/{project.id}/audit?action=project.create")
    assert len(some.body.splitlines()) == 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "  =cmd|' /C calc'!A0", "＝1"])
async def test_a_table_holds_no_formula(client: AsgiClient, owner: Context, project: Project, name: str) -> None:
    await audit.record(owner, f"project:{project.id}", "site.create", name)
    reply = await client.get(f"/v1/projects/{project.id}/audit?format=csv")
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert rows[-1]["target"] == "'" + name
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "＝")) for row in rows for cell in row.values())


@pytest.mark.parametrize("query", ["format=xml", "since=yesterday", "since=2026-01-01T00:00:00", "action=%00"])
async def test_a_wrong_filter_is_refused_before_anything_is_sent(
    client: AsgiClient, project: Project, query: str
) -> None:
    assert (await client.get(f"/v1/projects/{project.id}/audit?{query}")).status == 400


async def test_me_names_the_organizations(client: AsgiClient, owner: Context, project: Project) -> None:
    await projects.create_organization(owner, "Blue Team")
    answer = (await client.get("/auth/me")).json()
    assert answer["user"]["username"] == "owner"
    assert [(o["slug"], o["role"], o["personal"]) for o in answer["organizations"]] == [
        ("owner", "OWNER", True),
        ("blue-team", "OWNER", False),
    ]


async def test_the_original_paths_of_organizations(client: AsgiClient, owner: Context) -> None:
    made = await client.request("POST", "/organizations", body=b'{"name": "Red Team"}')
    assert (made.status, made.json()["organization"]["slug"]) == (201, "red-team")
    members = (await client.get("/organizations/red-team/members")).json()["members"]
    assert [(m["username"], m["role"], m["accessAllProjects"]) for m in members] == [("owner", "OWNER", True)]
    invited = await client.request(
        "POST", "/organizations/red-team/invitations", body=b'{"email": "ann@example.org", "role": "MEMBER"}'
    )
    assert (invited.status, invited.json()["invitation"]["status"]) == (201, "PENDING")
    gone = await client.request("DELETE", f"/organizations/invitations/{invited.json()['invitation']['id']}")
    assert gone.json()["invitation"]["status"] == "REVOKED"
    assert (await client.get("/organizations/invitations/" + "x" * 43)).status == 404
