"""A pipeline deploys without a stored secret: trust, token exchange, `af deploy`, and the end of trust."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import AF, Running, running
from tests.e2e.test_login_cli import Person, person
from tests.support.issuer import Issuer, issuing
from tests.support.processes import wait_until

__all__ = ["person"]
SUBJECT = "repo:acme/site:ref:refs/heads/main"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def platform(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("pipelines"), AF_PRIVATE_ISSUERS=issuer.url) as started:
        yield started


def ask(person: Person, document: str) -> Any:
    reply = person.post("/graphql", {"query": document}).json()
    assert "errors" not in reply, reply
    return reply["data"]


def af(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The program in a runner: its own empty folder for settings, no terminal."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "AF_CONFIG_DIR": str(folder / "config"), "CI": "1"}
    return subprocess.run(
        [str(AF), *arguments], cwd=folder, env={**clean, **variables}, capture_output=True, text=True, timeout=60
    )


def test_a_run_deploys_and_can_do_nothing_else(
    platform: Running, person: Person, issuer: Issuer, tmp_path: Path
) -> None:
    address = f"http://localhost:{platform.port}"
    project = platform.profile()["projectId"]
    here = f'where: {{projectId: "{project}"}}'
    account = ask(person, f'mutation {{ createServiceAccount({here}, data: {{name: "deployer"}}) {{ id }} }}')
    account_id = account["createServiceAccount"]["id"]
    data = (
        f'{{serviceAccountId: "{account_id}", name: "main", issuer: "{issuer.url}", subject: "{SUBJECT}", '
        'scopes: ["sites:write", "storage:write"], lifeSeconds: 600}'
    )
    rule = ask(person, f"mutation {{ createTrustRule({here}, data: {data}) {{ id }} }}")["createTrustRule"]["id"]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("<h1>from the pipeline</h1>")

    stranger = issuer.sign(datetime.now(UTC), aud=address, sub="repo:evil/site:ref:refs/heads/main")
    refused = af(tmp_path, "login", "--ci", "--url", address, AF_ID_TOKEN=stranger)
    assert refused.returncode == 4, refused.stderr
    assert "AF2073" in refused.stderr

    token = issuer.sign(datetime.now(UTC), aud=address, sub=SUBJECT)
    signed_in = af(tmp_path, "login", "--ci", "--url", address, "--json", AF_ID_TOKEN=token)
    assert signed_in.returncode == 0, signed_in.stderr
    deployed = af(tmp_path, "deploy", "dist", "--site", "from-ci", "--json")
    assert deployed.returncode == 0, deployed.stderr
    assert json.loads(deployed.stdout)["deployment"]["status"] == "ready"
    assert b"from the pipeline" in platform.request("/", host="from-ci.localhost").body

    for arguments in (("tokens", "list"), ("members", "list"), ("service-accounts", "create", "another")):
        over = af(tmp_path, *arguments)
        assert over.returncode == 4, f"{arguments}: {over.stdout}{over.stderr}"

    ask(person, f'mutation {{ deleteTrustRule(where: {{projectId: "{project}", id: "{rule}"}}) {{ id }} }}')

    def refused_now() -> bool:
        return af(tmp_path, "sites", "list").returncode == 4

    wait_until(refused_now, seconds=8, what="the token of a rule that is gone ends")
