"""What every test gets: databases of both kinds, a browser, and no way out to the network."""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import ipaddress
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import chromium, mail, postgres, s3

if TYPE_CHECKING:
    from playwright.async_api import Browser

DATABASES = os.environ.get("AF_TEST_DATABASES", "sqlite,postgresql").split(",")


# eth_account brings py_ecc, which raises the recursion limit of the whole process as it is imported: tests of deeply
# nested input would end it. So it is imported first, here, and the limit put back.
_LIMIT = sys.getrecursionlimit()
importlib.import_module("eth_account")
sys.setrecursionlimit(_LIMIT)

# A run that was started in the background ignores Ctrl-C, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


# --- databases ------------------------------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test that uses a database once on every kind in AF_TEST_DATABASES."""
    if "database_kind" in metafunc.fixturenames:
        marks = {"postgresql": [pytest.mark.postgres]}
        kinds = [pytest.param(kind, marks=marks.get(kind, [])) for kind in DATABASES]
        metafunc.parametrize("database_kind", kinds, scope="session")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """One real server per test process, started by the first test that needs it."""
    try:
        postgres.find_programs()
    except postgres.PostgresMissing as missing:
        pytest.skip(f"NO POSTGRESQL: {missing}")
    with postgres.running_server() as server:
        yield server


@pytest.fixture
def empty_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new database without tables, as AF_DATABASE_URL takes it."""
    if database_kind == "sqlite":
        yield _sqlite_url(tmp_path / "empty.sqlite")
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def database_url(
    database_kind: str, migrated_template: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[str]:
    """A new database with all tables, as AF_DATABASE_URL takes it: a copy of one that was migrated once."""
    if database_kind == "sqlite":
        path = tmp_path / "platform.sqlite"
        if migrated_template:
            shutil.copyfile(migrated_template, path)
        yield _sqlite_url(path)
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=migrated_template or "template0")
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="session")
def migrated_template(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The SQLite file or PostgreSQL database that `database_url` copies; empty while there are no migrations."""
    if importlib.util.find_spec("af.core.migrations") is None:
        return ""
    if database_kind == "sqlite":
        path = tmp_path_factory.mktemp("template") / "platform.sqlite"
        _migrate(_sqlite_url(path))
        assert not path.with_name(path.name + "-wal").exists(), "the template was left with changes in its log"
        return str(path)
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    _migrate(server.url(name))
    return name


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def _migrate(database_url: str) -> None:
    from af.core.db import async_url
    from af.core.migrations import upgrade

    work = functools.partial(asyncio.run, upgrade(async_url(database_url, Path())))
    with ThreadPoolExecutor(1) as thread:  # a thread without an event loop, whatever loop this one has
        thread.submit(work).result()


# --- browser --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, new for each test; mark the test ``browser``."""
    async with chromium.browser() as started:
        yield started


# --- mail -----------------------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test that needs the mail or the S3 server may have to wait until it is built."""
    for item in items:
        waits_for_mail = "mailpit" in getattr(item, "fixturenames", ()) and not mail.MAILPIT.is_built()
        waits_for_s3 = item.get_closest_marker("s3") is not None and not s3.VERSITYGW.is_built()
        if waits_for_mail or waits_for_s3:
            item.add_marker(pytest.mark.timeout(mail.TEST_TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def mailpit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mail.Mailpit]:
    """A real mail server per test process; use `mailbox`."""
    with mail.running(mail.MAILPIT.or_skip(), tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def mailbox(mailpit: mail.Mailpit) -> Iterator[mail.Mailpit]:
    """The mail server, empty and well-behaved."""
    mailpit.clear()
    yield mailpit
    mailpit.misbehave()


# --- S3 -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3Server]:
    """A real S3 server per test process; mark the test ``s3``. Tests that stop it start their own."""
    with s3.running(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: s3.S3Server) -> str:
    """A new, empty bucket."""
    name = f"bucket-{secrets.token_hex(6)}"
    s3_server.create_bucket(name)
    return name


# --- no network -----------------------------------------------------------------------------------------------------


class NetworkForbidden(RuntimeError):
    """A test tried to reach something that is not on this machine."""


def _refuse_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook, so that no library can get round it, short of code that is not Python (uvloop's own sockets)."""
    if event in ("socket.connect", "socket.sendto"):
        connection, address = arguments[0], arguments[1]
        outside = connection.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0])
    elif event == "socket.getaddrinfo":
        outside = arguments[0] is not None and not _is_local(arguments[0])
    else:
        return
    if outside:
        raise NetworkForbidden(f"{event} {arguments[1 if event != 'socket.getaddrinfo' else 0]!r}: not on this machine")


def _is_local(host: str | bytes) -> bool:
    name = (host.decode("ascii", "replace") if isinstance(host, bytes) else host).rstrip(".").lower()
    if name in ("", "localhost", socket.gethostname().lower()) or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_refuse_outside)
