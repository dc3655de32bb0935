"""`af up`, `af serve` and `af doctor` as a user meets them."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from af.server import offspring
from tests.e2e.platform import AF, Running, environment, running
from tests.support.postgres import PostgresServer
from tests.support.processes import start, wait_until

_CREATE_SITE = "mutation ($slug: String!) { createSite(data: { name: $slug, slug: $slug }) { id slug url } }"
_DEPLOYMENT = "query ($id: ID!) { deployment(where: { id: $id }) { status cid error { message } } }"


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _publish(platform: Running, slug: str, files: dict[str, bytes]) -> None:
    """Put a site live by its archive route, through edge and worker."""
    site = platform.graphql(_CREATE_SITE, slug=slug)["createSite"]
    headers = {"Authorization": f"Bearer {platform.profile()['token']}", "Content-Type": "application/x-tar"}
    reply = platform.request(f"/v1/sites/{site['id']}/archive", method="POST", body=_tar(files), headers=headers)
    assert reply.status == 202, reply.body
    deployment = reply.json()["deployment"]["id"]

    def final() -> str | None:
        found = platform.graphql(_DEPLOYMENT, id=deployment)["deployment"]
        return found if found["status"] in ("SUCCESS", "FAILED", "CANCELED") else None

    ended = wait_until(final, seconds=20, what="a final deployment")
    assert ended["status"] == "SUCCESS", ended  # type: ignore[index]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with running(tmp_path_factory.mktemp("up")) as started:
        yield started


def test_the_ready_object_has_the_contracts_keys(platform: Running) -> None:
    assert set(platform.ready) == {"event", "url", "api", "pid", "loginUrl", "data", "port"}
    assert platform.ready["pid"] == platform.process.pid
    assert platform.ready["url"] == f"http://localhost:{platform.port}"
    assert platform.ready["api"] == f"http://localhost:{platform.port}/graphql"


def test_it_is_alive_and_ready_with_every_part(platform: Running) -> None:
    assert platform.request("/health").json() == {"status": "ok"}
    ready = platform.request("/ready")
    assert (ready.status, ready.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "blocks": "ok", "worker": "ok"}},
    )


def test_the_local_profile_works_and_only_its_owner_may_read_it(platform: Running) -> None:
    file = platform.config / "credentials.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["active"] == "local"
    assert platform.profile()["apiUrl"] == platform.ready["url"]
    data = platform.graphql("{ me { username } projects { data { id slug } } }")
    assert data == {
        "me": {"username": "owner"},
        "projects": {"data": [{"id": platform.profile()["projectId"], "slug": "default"}]},
    }


def test_the_login_link_is_for_the_main_address(platform: Running) -> None:
    assert platform.ready["loginUrl"].startswith(f"{platform.ready['url']}/auth/link?token=")
    path = platform.ready["loginUrl"].removeprefix(platform.ready["url"])
    assert platform.request(path).status == 200


def test_a_published_site_answers_at_its_host(platform: Running) -> None:
    _publish(platform, "blog", {"index.html": b"<h1>hi</h1>"})
    assert platform.request("/", host="blog.localhost").body == b"<h1>hi</h1>"


def test_the_page_is_shown_at_the_main_address_under_a_strict_policy(platform: Running) -> None:
    page = platform.request("/")
    assert page.status == 200
    assert b"Alternate Futures" in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert platform.request("/page/app.js").headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "api.localhost", "uploads.localhost"])
@pytest.mark.parametrize("path", ["/", "/page/app.js", "/auth/link", "/login", "/settings", "/login/code"])
def test_other_hosts_get_no_page_and_no_cookie(platform: Running, host: str, path: str) -> None:
    reply = platform.request(path, host=host)
    assert reply.status == 404
    assert "set-cookie" not in reply.headers


def test_other_hosts_get_api_routes(platform: Running) -> None:
    body = json.dumps({"query": "{ me { username } }"}).encode()
    headers = {"Authorization": f"Bearer {platform.profile()['token']}", "Content-Type": "application/json"}
    for host in ("evil.test", "127.0.0.1", "api.localhost"):
        reply = platform.request("/graphql", host=host, method="POST", body=body, headers=headers)
        assert reply.json() == {"data": {"me": {"username": "owner"}}}, host


def test_an_address_leads_people_to_the_main_name(platform: Running) -> None:
    reply = platform.request("/", host="127.0.0.1")
    assert (reply.status, reply.headers["location"]) == (302, f"http://localhost:{platform.port}/")
    assert "set-cookie" not in reply.headers


def test_metrics_are_not_for_the_outside(platform: Running) -> None:
    assert platform.request("/metrics").status == 200
    assert platform.request("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status == 404


def test_every_answer_has_a_request_id(platform: Running) -> None:
    for path in ("/health", "/ready", "/", "/nothing", "/graphql"):
        assert platform.request(path).headers.get("x-request-id"), path
    given = platform.request("/nothing", headers={"X-Request-Id": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    assert given.json()["requestId"] == "abc-123"


def test_a_second_instance_on_the_folder_refuses_and_names_the_first(platform: Running) -> None:
    command = [AF, "up", "--port", "0", "--data", platform.ready["data"], "--json"]
    second = subprocess.run(command, env=platform.environment, capture_output=True, text=True, timeout=20)
    assert second.returncode == 6
    assert f"process {platform.process.pid}" in json.loads(second.stdout)["error"]["message"]
    assert "error[AF7002]" in second.stderr
    assert "fix:" in second.stderr


def test_a_taken_port_is_refused_naming_who_has_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [AF, "up", "--port", str(taken.getsockname()[1]), "--data", tmp_path / "data"]
        refused = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=20)
    assert refused.returncode == 6
    assert "error[AF7001]" in refused.stderr
    assert f"process {os.getpid()}" in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize(
    "arguments, settings, reference, exit_code",
    [
        (["--data", "/proc/af"], {}, "AF7003", 8),
        ([], {"AF_PORT": "notaport"}, "AF1101", 2),
        (["--host", "203.0.113.1"], {}, "AF7008", 2),
        (["--database-url", "postgresql://nobody@127.0.0.1:1/none"], {}, "AF1102", 8),
    ],
)
def test_what_cannot_start_says_what_to_do(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], reference: str, exit_code: int
) -> None:
    command = [AF, "up", "--data", tmp_path / "data", *arguments]
    if "AF_PORT" not in settings:
        command += ["--port", "0"]
    refused = subprocess.run(
        command, env={**environment(tmp_path), **settings}, capture_output=True, text=True, timeout=30
    )
    assert refused.returncode == exit_code, refused.stderr
    assert f"error[{reference}]" in refused.stderr
    assert "fix:" in refused.stderr


def test_in_flight_requests_finish_at_a_stop(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        site = platform.graphql(_CREATE_SITE, slug="slow")["createSite"]
        body = _tar({"index.html": b"x" * 100_000})
        head = (
            f"POST /v1/sites/{site['id']}/archive HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n"
            f"Authorization: Bearer {platform.profile()['token']}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", platform.port), timeout=20) as connection:
            connection.sendall(head.encode() + body[:1000])
            platform.request("/health")  # by now the edge has the first part, too
            platform.process.send(signal.SIGTERM)
            platform.process.wait_until(lambda: _refuses(platform.port), what="a closed door")
            connection.sendall(body[1000:])
            assert connection.recv(12) == b"HTTP/1.1 202"
        assert platform.process.wait_for_exit(seconds=15) == 0


def _refuses(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return False
    except OSError:
        return True


def test_a_stop_does_not_wait_for_event_streams(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        profile = platform.profile()
        head = (
            f"GET /v1/projects/{profile['projectId']}/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {profile['token']}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", platform.port), timeout=20) as connection:
            connection.sendall(head.encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
            platform.process.send(signal.SIGTERM)
            assert platform.process.wait_for_exit(seconds=5) == 0


@pytest.mark.parametrize("part", ["af-edge-0", "af-worker"])
def test_a_killed_part_comes_back_and_no_connection_is_refused(tmp_path: Path, part: str) -> None:
    with running(tmp_path) as platform:
        victim = _pid_of(platform, part)
        os.kill(victim, signal.SIGKILL)
        platform.process.wait_for_line(r'"event": "part crashed"')
        assert platform.request("/health").status == 200  # waits in the socket's backlog if need be
        wait_until(lambda: platform.request("/ready").status == 200, seconds=20, what="ready again")
        _publish(platform, "after", {"index.html": b"after"})
        assert platform.request("/", host="after.localhost").body == b"after"


def _pid_of(platform: Running, name: str) -> int:
    for pid in offspring.descendants(platform.process.pid):
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            return pid
    raise AssertionError(f"no process {name}")


def test_kill_9_of_everything_and_a_new_start_keeps_what_was_there(tmp_path: Path) -> None:
    with running(tmp_path, log="first.log") as platform:
        _publish(platform, "kept", {"index.html": b"kept"})
        token = platform.profile()["token"]
        platform.process.send(signal.SIGKILL)
        platform.process.wait_for_exit()
    with running(tmp_path, log="second.log") as platform:
        assert platform.profile()["token"] == token
        assert platform.request("/", host="kept.localhost").body == b"kept"


def test_a_lost_profile_is_written_anew_with_a_new_token(tmp_path: Path) -> None:
    with running(tmp_path, log="first.log") as platform:
        token = platform.profile()["token"]
    (tmp_path / "config" / "credentials.json").unlink()
    with running(tmp_path, log="second.log") as platform:
        assert platform.profile()["token"] != token
        assert platform.graphql("{ me { username } }") == {"me": {"username": "owner"}}


def test_the_gateway_serves_sites_while_everything_else_is_stopped(tmp_path: Path) -> None:
    with running(tmp_path, log="up.log") as platform:
        _publish(platform, "still", {"index.html": b"still here"})
    with running(tmp_path, verb=("serve", "gateway"), log="gateway.log") as gateway:
        assert gateway.ready["loginUrl"] == ""
        assert gateway.request("/", host="still.localhost").body == b"still here"
        assert gateway.request("/ready").json() == {"status": "ready", "checks": {"database": "ok", "blocks": "ok"}}
        assert gateway.request("/graphql", method="POST", body=b"{}").status == 404
        assert gateway.request("/").status == 404


def test_a_gateway_without_a_database_says_what_to_start(tmp_path: Path) -> None:
    command = [AF, "serve", "gateway", "--port", "0", "--data", tmp_path / "data"]
    refused = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=30)
    assert refused.returncode == 8
    assert "error[AF7006]" in refused.stderr


def test_targets_run_as_instances_of_their_own_on_one_folder(tmp_path: Path) -> None:
    with (
        running(tmp_path, verb=("serve", "api"), log="api.log") as platform,
        running(tmp_path, verb=("serve", "worker"), log="worker.log") as worker,
        running(tmp_path, verb=("serve", "gateway"), log="gateway.log") as gateway,
    ):
        assert worker.request("/ready").status == 200
        assert worker.request("/graphql").status == 404
        config = json.loads((tmp_path / "config" / "credentials.json").read_text())
        config["profiles"]["local"]["apiUrl"] = platform.ready["url"]
        _publish(platform, "apart", {"index.html": b"apart"})
        assert gateway.request("/", host="apart.localhost").body == b"apart"


def test_several_edges_share_the_port(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as platform:
        assert _pid_of(platform, "af-edge-0") != _pid_of(platform, "af-edge-1")
        assert all(platform.request("/health").status == 200 for _ in range(20))


def test_the_example_is_deployed_and_its_address_printed(tmp_path: Path) -> None:
    with running(tmp_path, "--with-example") as platform:
        line = platform.process.wait_for_line(r'^\{"event": "example".*\}$')
        url = json.loads(line[0])["url"]
        assert url == f"http://hello.localhost:{platform.port}"
        assert b"Hello from your own cloud" in platform.request("/", host="hello.localhost").body
        assert platform.request("/old-address", host="hello.localhost").status == 301
        assert b"404.html" in platform.request("/nothing", host="hello.localhost").body


def test_people_see_addresses_and_the_next_command(tmp_path: Path) -> None:
    command = [AF, "up", "--port", "0", "--data", tmp_path / "data"]
    process = start(command, log=tmp_path / "up.log", env=environment(tmp_path))
    process.wait_for_line(r"^  Next +af deploy ./folder$")
    assert "  Sign in     http://localhost:" in process.output()
    process.stop()


def test_doctor_finds_a_running_platform_well(platform: Running) -> None:
    command = [AF, "doctor", "--json", "--data", platform.ready["data"], "--port", str(platform.port)]
    done = subprocess.run(command, env=platform.environment, capture_output=True, text=True, timeout=30)
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    assert found["port"]["detail"] == f"{platform.port} answers and is ready"
    assert f"process {platform.process.pid}" in found["running"]["detail"]
    assert found["database"]["status"] == "ok"


def test_doctor_names_what_is_wrong_and_fails(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    command = [AF, "doctor", "--json", "--data", tmp_path / "data"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=30)
    document = json.loads(done.stdout)
    failed = {check["name"] for check in document["checks"] if check["status"] == "fail"}
    assert (done.returncode, document["ok"], failed) == (1, False, {"data"})


@pytest.mark.parametrize("victim", ["front", "keeper"])
def test_no_descendant_outlives_kill_9_of_front_or_keeper_by_more_than_a_second(tmp_path: Path, victim: str) -> None:
    with running(tmp_path) as platform:
        below = offspring.descendants(platform.process.pid)
        os.kill(platform.process.pid if victim == "front" else _pid_of(platform, "af-keeper"), signal.SIGKILL)
        wait_until(lambda: not any(map(_runs, below)), seconds=1.0, what=f"end of {below}")
        assert platform.process.wait_for_exit() == (-signal.SIGKILL if victim == "front" else 70)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "data" / "platform.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    command = [AF, "up", "--port", "0", "--data", tmp_path / "data"]
    refused = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=30)
    assert refused.returncode == 8
    assert "error[AF1104]" in refused.stderr
    assert "revision 9999" in refused.stderr
    assert "part crashed" not in refused.stderr
    doctor = [AF, "doctor", "--json", "--data", tmp_path / "data"]
    done = subprocess.run(doctor, env=environment(tmp_path), capture_output=True, text=True, timeout=30)
    found = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found["database"]) == (1, "fail")


@pytest.mark.postgres
def test_everything_works_on_postgresql(tmp_path: Path, postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    with running(tmp_path, AF_DATABASE_URL=postgres_server.url(name)) as platform:
        _publish(platform, "pg", {"index.html": b"from postgres"})
        assert platform.request("/", host="pg.localhost").body == b"from postgres"
        assert platform.request("/ready").status == 200
    assert not (tmp_path / "data" / "platform.sqlite").exists()
    postgres_server.drop_database(name)
