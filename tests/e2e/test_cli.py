"""One `af` command that lives through what happens to it: a killed part, a restarted platform, a token that ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.hostile import af, host_of, new_token, part_pids, write
from tests.e2e.platform import AF, environment, running
from tests.support.ports import free_port
from tests.support.processes import start, wait_until

FILES = 24
FILE_BYTES = 4 << 20


def _large_site(folder: Path) -> Path:
    """About 100 MB in a dozen CARs, so that there is a middle of the upload."""
    return write(folder, {f"{n}.bin": os.urandom(FILE_BYTES) for n in range(FILES)} | {"index.html": b"whole"})


def _stored_bytes(data: Path) -> int:
    return sum(path.stat().st_size for path in (data / "blocks").rglob("*") if path.is_file())


@contextmanager
def _deploying(folder: Path, env: dict[str, str], data: Path) -> Iterator[subprocess.Popen[str]]:
    """An `af deploy` of which the platform has stored a part."""
    before = _stored_bytes(data)
    client = subprocess.Popen(
        [AF, "deploy", folder, "--json"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: _stored_bytes(data) > before + FILE_BYTES, seconds=30, what="the upload is under way")
        assert client.poll() is None, "it ended before it could be disturbed"
        yield client
    finally:
        client.kill()
        client.communicate()  # also closes its pipes


def _finished(client: subprocess.Popen[str]) -> Any:
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, out + err
    return json.loads(out)


def test_a_command_finishes_although_the_edge_was_killed_in_the_middle_of_its_upload(tmp_path: Path) -> None:
    folder = _large_site(tmp_path / "site")
    with running(tmp_path) as platform:
        with _deploying(folder, platform.environment, tmp_path / "data") as client:
            os.kill(part_pids(platform)["edge-0"], signal.SIGKILL)
            done = _finished(client)
        assert done["deployment"]["uploadedFiles"] == FILES + 1
        assert platform.request("/", host=host_of(done["site"]["url"])).body == b"whole"


def test_a_command_finishes_although_the_platform_was_killed_and_started_again(tmp_path: Path) -> None:
    folder = _large_site(tmp_path / "site")
    env, data, port = environment(tmp_path), tmp_path / "data", free_port()
    command = [AF, "up", "--port", str(port), "--data", data, "--json"]
    first = start(command, log=tmp_path / "first.log", env=env)
    second = None
    try:
        first.wait_for_line(r'^\{"event": "ready"', seconds=30)
        with _deploying(folder, env, data) as client:
            first.kill()
            second = start(command, log=tmp_path / "second.log", env=env)
            done = _finished(client)
        assert done["deployment"]["status"] == "ready"
        second.stop()
    finally:
        first.kill()
        if second is not None:
            second.kill()


def test_an_upload_that_was_cut_goes_on_where_it_ended(tmp_path: Path) -> None:
    folder = _large_site(tmp_path / "site")
    with running(tmp_path) as platform:
        with _deploying(folder, platform.environment, tmp_path / "data") as client:
            client.kill()
        again = af(platform, "deploy", folder, "--json")
        assert again.code == 0, again.err
        assert again.json["deployment"]["uploadedBytes"] < FILES * FILE_BYTES


def test_ctrl_c_in_the_middle_of_an_upload_ends_the_command_soon(tmp_path: Path) -> None:
    folder = _large_site(tmp_path / "site")
    with running(tmp_path) as platform:
        with _deploying(folder, platform.environment, tmp_path / "data") as client:
            os.kill(part_pids(platform)["edge-0"], signal.SIGSTOP)  # nothing answers: it may not wait for that
            client.send_signal(signal.SIGINT)
            _, err = client.communicate(timeout=5)
            os.kill(part_pids(platform)["edge-0"], signal.SIGCONT)
        assert client.returncode == 130
        assert "Traceback" not in err


def test_a_token_that_ends_during_an_upload_is_replaced_by_the_one_in_the_profile(tmp_path: Path) -> None:
    folder = _large_site(tmp_path / "site")
    with running(tmp_path) as platform:
        credentials = platform.config / "credentials.json"
        owner = json.loads(credentials.read_text())
        made = json.loads(af(platform, "tokens", "create", "--name", "short", "--json").out)
        short = json.loads(credentials.read_text())
        short["profiles"]["local"]["token"] = made["token"]
        credentials.write_text(json.dumps(short))
        with _deploying(folder, platform.environment, tmp_path / "data") as client:
            credentials.write_text(json.dumps(owner))
            assert af(platform, "tokens", "revoke", made["id"]).code == 0
            done = _finished(client)
        assert done["deployment"]["status"] == "ready"


def test_login_without_an_address_asks_the_active_platform(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        token = new_token(platform, "second")
        done = af(platform, "login", "--token", token, "--profile", "work", "--json")
        assert done.code == 0, done.err
        assert done.json["apiUrl"] == platform.ready["url"]
        assert af(platform, "whoami", "--json").json["profile"] == "work"
        wrong = af(platform, "login", "--token", "-", "--json")
        assert wrong.code == 2, "no token on stdin"


def test_content_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        pin = af(platform, "storage", "add", write(tmp_path / "x", {"a.txt": b"hello"}), "--json").json["pin"]
        target = tmp_path / "out.txt"
        assert af(platform, "storage", "get", pin["cid"], "absent.txt", "-o", target).code == 5
        assert not target.exists()
        assert not target.with_name("out.txt.part").exists()
        unwritable = af(platform, "storage", "get", pin["cid"], "a.txt", "-o", tmp_path / "no" / "out.txt")
        assert unwritable.code == 2
        assert "fix:" in unwritable.err
        assert af(platform, "storage", "get", pin["cid"], "a.txt", "-o", target).code == 0
        assert target.read_bytes() == b"hello"


def test_completion_completes_verbs(tmp_path: Path) -> None:
    env = {**environment(tmp_path), "_AF_COMPLETE": "bash_complete", "COMP_WORDS": "af sites re", "COMP_CWORD": "2"}
    done = subprocess.run([AF], env=env, capture_output=True, text=True, timeout=20)
    assert "rename" in done.stdout, done.stdout + done.stderr
