"""Two platforms: what is live on one is copied to the other by the Pinning Service API, proved, lost and repaired."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.platform import AF, Running, running
from tests.support.ports import free_port

DEADLINE_SECONDS = 60.0


def af(platform: Running, *arguments: str, status: int = 0) -> Any:
    """The object that a command prints with --json."""
    done = subprocess.run(
        [AF, *arguments, "--json"], env=platform.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout else None


def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = look()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def test_a_site_is_kept_by_another_platform_and_repaired_there(tmp_path: Path) -> None:
    port = free_port()
    site = tmp_path / "site"
    (site / "assets").mkdir(parents=True)
    for name in ("twin", "here"):
        (tmp_path / name).mkdir()
    (site / "index.html").write_text("<h1>two places</h1>")
    (site / "assets" / "big.bin").write_bytes(bytes(range(256)) * 12_000)
    with running(tmp_path / "twin", AF_RETRIEVAL_GATEWAYS=f"http://127.0.0.1:{port}") as twin:
        address = f"http://127.0.0.1:{twin.port}"
        token = twin.profile()["token"]
        services = [{"name": "twin", "endpoint": address, "token": token, "gateway": address}]
        with running(tmp_path / "here", "--port", str(port), AF_PINNING_SERVICES=json.dumps(services)) as here:
            root = af(here, "deploy", str(site))["deployment"]["cid"]
            assert {"name": "twin", "usable": True, "missing": ""} in af(here, "replication", "providers")["data"]
            af(here, "replication", "set", "twin")

            def copy() -> dict[str, Any]:
                found = [each for each in af(here, "replication", "status")["data"] if each["cid"] == root]
                return found[0] if found else {"state": "", "provedAt": None}

            first = until(copy, lambda found: found["provedAt"] is not None)
            assert (first["state"], first["provider"], first["error"]) == ("STORED", "twin", "")
            assert twin.request(f"/ipfs/{root}/index.html", host="127.0.0.1").body == b"<h1>two places</h1>"
            checks = {each["source"]: each for each in af(here, "storage", "verify", root)["data"]}
            assert checks["here"]["finding"] == checks["twin"]["finding"] == "WHOLE"

            lost = twin.request(f"/pins/{first['ref']}", method="DELETE", headers={"Authorization": f"Bearer {token}"})
            assert lost.status == 202
            af(here, "replication", "check", root)
            again = until(copy, lambda found: found["ref"] != first["ref"] and found["provedAt"] is not None)
            assert again["state"] == "STORED"


def test_what_cannot_be_is_said_with_the_next_step(tmp_path: Path) -> None:
    with running(tmp_path) as platform:

        def refused(*arguments: str) -> str:
            done = subprocess.run(
                [AF, *arguments], env=platform.environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode not in (0, 70), done
            return done.stderr

        assert "has shut down" in refused("replication", "set", "storacha")
        assert "AF_PINATA_JWT" in refused("replication", "set", "pinata")
        assert "af replication providers" in refused("replication", "set", "nowhere")
        assert "error[AF3206]" in refused("replication", "remove")
        unknown = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
        document = af(platform, "storage", "verify", unknown, status=1)
        assert (document["verified"], document["data"][0]["finding"]) == (False, "MISSING")
