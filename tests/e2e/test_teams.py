"""`af organizations`, `af members` and `af audit` against a running platform."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.hostile import af
from tests.e2e.platform import running


def test_an_organization_its_invitations_and_the_audit_log_by_the_command_line(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        made = af(platform, "organizations", "create", "Blue Team", "--json")
        assert made.code == 0, made.err
        assert (made.json["slug"], made.json["role"]) == ("blue-team", "OWNER")
        listed = af(platform, "organizations", "list", "--json").json["data"]
        assert [(o["slug"], o["personal"]) for o in listed] == [("owner", True), ("blue-team", False)]

        team = ("--organization", "blue-team")
        invited = af(platform, "members", "invite", "ann@example.org", "--role", "viewer", *team, "--json")
        assert invited.code == 0, invited.err
        waiting = af(platform, "members", "invitations", *team, "--json").json["data"]
        assert [(i["email"], i["role"], i["state"]) for i in waiting] == [("ann@example.org", "VIEWER", "PENDING")]
        assert af(platform, "members", "resend", waiting[0]["id"]).code == 0
        assert af(platform, "members", "revoke", waiting[0]["id"]).code == 0
        assert af(platform, "members", "invitations", *team, "--json").json["data"] == []
        assert "owner" in af(platform, "members", "list", *team).out

        actions = [entry["action"] for entry in af(platform, "audit", "list", *team, "--json").json["data"]]
        assert actions == ["invitation.revoke", "invitation.resend", "invitation.create", "organization.create"]
        some = af(platform, "audit", "list", "--action", "invitation.r", *team, "--json").json["data"]
        assert len(some) == 2
        exported = [json.loads(line) for line in af(platform, "audit", "export", *team).out.splitlines()]
        assert [entry["action"] for entry in exported] == actions[::-1]
        verified = af(platform, "audit", "verify", *team, "--json")
        assert (verified.code, verified.json["entries"], verified.json["brokenAt"]) == (0, 4, None)
        assert verified.json["head"] == exported[-1]["hash"]

        moved = af(platform, "organizations", "move", "default", "--to", "blue-team")
        assert moved.code == 0, moved.err
        refused = af(platform, "organizations", "delete", "blue-team", "--yes", "--json")
        assert refused.code == 4, "not with an access token"
        assert af(platform, "members", "remove", "nobody", *team).code != 0
