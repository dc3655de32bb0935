"""The parts that other tests stand on: they must start, answer, end, and refuse what they promise to refuse."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support import node, postgres
from tests.support.ports import accepts_connections, free_port
from tests.support.processes import NotInTime, running, start, wait_until

REPOSITORY = Path(__file__).resolve().parents[3]


def _tables(url: str) -> int:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        finally:
            connection.close()
    with psycopg.connect(url) as server:
        row = server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert row
        return int(row[0])


def test_an_empty_database_has_no_tables(empty_database_url: str) -> None:
    assert _tables(empty_database_url) == 0


def test_a_database_is_a_copy_of_the_migrated_template(database_url: str, migrated_template: str) -> None:
    assert (_tables(database_url) > 0) == bool(migrated_template)


@pytest.mark.postgres
def test_a_postgresql_database_can_be_copied_from_a_template(postgres_server: postgres.PostgresServer) -> None:
    template = postgres_server.create_database()
    with psycopg.connect(postgres_server.url(template)) as connection:
        connection.execute("CREATE TABLE made_once (id TEXT)")
    copy = postgres_server.create_database(template=template)
    assert _tables(postgres_server.url(copy)) == 1


@pytest.mark.postgres
def test_a_postgresql_server_ends_when_its_test_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import signal\nfrom tests.support.postgres import running_server\n"
        "with running_server() as server:\n    print('running', server.process.pid, flush=True)\n    signal.pause()\n"
    )
    owner = start([sys.executable, "-c", script], log=tmp_path / "log", cwd=REPOSITORY)
    server = int(owner.wait_for_line(r"^running (\d+)$", seconds=40)[1])
    assert Path(f"/proc/{server}").exists()
    owner.kill()
    wait_until(lambda: not Path(f"/proc/{server}").exists(), seconds=20, what=f"end of the server {server}")


def test_output_is_waited_for_and_stopping_leaves_nothing(tmp_path: Path) -> None:
    script = "import signal, subprocess\nprint('port 4711', flush=True)\nsignal.pause()"
    with running([sys.executable, "-c", script], log=tmp_path / "log") as process:
        assert process.wait_for_line(r"port (\d+)")[1] == "4711"
    assert not process.group_remains()


def test_a_child_left_behind_is_reported_and_ended(tmp_path: Path) -> None:
    script = "import subprocess\nsubprocess.Popen(['sleep', '300'])\nprint('started', flush=True)"
    process = start([sys.executable, "-c", script], log=tmp_path / "log")
    process.wait_for_line("started")
    with pytest.raises(NotInTime, match="left processes behind"):
        process.stop()
    assert not process.group_remains()


def test_waiting_for_a_process_that_ended_fails_at_once_with_its_output(tmp_path: Path) -> None:
    process = start([sys.executable, "-c", "print('no such setting'); raise SystemExit(3)"], log=tmp_path / "log")
    with pytest.raises(NotInTime, match=r"exited with 3(.|\n)*no such setting"):
        process.wait_for_line("ready", seconds=20)
    assert process.stop() == 3


def test_a_process_that_ignores_the_request_to_end_is_killed_and_reported(tmp_path: Path) -> None:
    script = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(300)"
    )
    process = start([sys.executable, "-c", script], log=tmp_path / "log")
    process.wait_for_line("up")
    with pytest.raises(NotInTime, match="did not end"):
        process.stop(seconds=0.2)
    assert process.wait_for_exit() == -signal.SIGKILL


def test_a_free_port_accepts_no_connections() -> None:
    assert not accepts_connections(free_port())


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_sockets_to_other_machines_are_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as outward, pytest.raises(RuntimeError, match="not on this machine"):
        outward.connect((address, 80))


async def test_event_loops_cannot_reach_other_machines_either() -> None:
    with pytest.raises(RuntimeError, match="not on this machine"):
        await asyncio.open_connection("192.0.2.1", 80)
    with pytest.raises(RuntimeError, match="not on this machine"):
        await asyncio.open_connection("registry.example", 80)


async def test_loopback_and_unix_sockets_work(tmp_path: Path) -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
    async with await asyncio.start_unix_server(hang_up, tmp_path / "socket"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
        assert await reader.read() == b""
        writer.close()


def test_node_and_npm_come_with_the_environment() -> None:
    said = subprocess.run([node.node(), "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith("v")
    path = f"{node.node().parent}:{os.environ['PATH']}"
    subprocess.run([node.npm(), "--version"], capture_output=True, check=True, env=os.environ | {"PATH": path})


@pytest.mark.npm
def test_npm_packages_are_installed_outside_the_repository() -> None:
    folder = node.npm_install("is-number@7.0.0")
    assert not folder.is_relative_to(REPOSITORY)
    said = subprocess.run(
        [node.node(), "-p", "require('is-number')('12')"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "true"


@pytest.mark.browser
async def test_a_browser_runs_a_page(browser) -> None:  # type: ignore[no-untyped-def]
    page = await browser.new_page()
    await page.set_content("<button onclick=\"this.textContent = 'clicked'\">wait</button>")
    await page.click("button")
    assert await page.text_content("button") == "clicked"
