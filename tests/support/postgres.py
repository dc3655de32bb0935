"""A real PostgreSQL server for tests: its own data folder, loopback only, a free port, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.ports import free_port
from tests.support.processes import NotInTime, Process, start

_PREFIX = "af-test-postgres-"
_START_SECONDS = 30
_START_TRIES = 3  # another process may take the free port first
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # nothing here has to survive a power cut; three times faster
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "lc_messages": "C",
}


class PostgresMissing(Exception):
    """The server's programs are not installed."""


def find_programs() -> Path:
    """The folder with ``initdb`` and ``postgres``: the newest of Debian's, or what is on PATH."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True):
        if (folder / "initdb").exists():
            return folder
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    raise PostgresMissing("no PostgreSQL server programs (initdb); run bin/setup --test")


class PostgresServer:
    """A running server. Databases made here live as long as it does."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self._made = 0

    def url(self, database: str) -> str:
        """As the setting AF_DATABASE_URL takes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, template: str = "template0") -> str:
        """A new database, empty or a copy of ``template`` (to which nobody may be connected); returns its name."""
        self._made += 1
        name = f"test_{self._made}"
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop_database(self, name: str) -> None:
        """Ends the connections that a failed test left open, too."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Makes a data folder, starts a server on it and stops it at the end; `PostgresMissing` when not installed."""
    programs = find_programs()
    _remove_leftovers()
    user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    try:
        if user:
            shutil.chown(folder, user)
        _init_data_folder(programs, folder / "data", user)
        process, port = _start(programs, folder, user)
        try:
            yield PostgresServer(process, port)
        finally:
            process.stop(signal_number=signal.SIGINT)  # SIGINT: end the sessions, then stop
    finally:
        shutil.rmtree(folder)


def _init_data_folder(programs: Path, data: Path, user: str | None) -> None:
    command = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, user=user, cwd=data.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"initdb failed:\n{done.stderr}"


def _start(programs: Path, folder: Path, user: str | None) -> tuple[Process, int]:
    options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
    for attempt in range(1, _START_TRIES + 1):
        port = free_port()
        command = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, *options]
        log = folder / f"log-{attempt}"
        process = start(command, log=log, cwd=folder, as_user=user, death_signal="INT")
        try:
            process.wait_for_line("database system is ready to accept connections", seconds=_START_SECONDS)
            return process, port
        except NotInTime:
            process.kill()
            if attempt == _START_TRIES:
                raise
    raise AssertionError("not reached")


def _remove_leftovers() -> None:
    """Data folders of test processes that were killed; their servers have ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)
