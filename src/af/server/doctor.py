"""`af doctor`: everything that can be checked from outside, whether the platform runs or not."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from af.core.errors import Error
from af.core.settings import Settings
from af.server import figures, listen, locks, parts, preflight, profile

NAME_WIDTH = 12
_ANSWER_SECONDS = 2.0

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``fix`` is empty when nothing is to be done."""

    name: str
    status: Status
    detail: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(settings: Settings, environment: Mapping[str, str]) -> list[Check]:
    """All checks, in the order in which a start would meet them."""
    running = {t: pid for t in parts.TARGETS if (pid := locks.holder(settings.data, t)) is not None}
    return [
        _python(),
        *_raised("sqlite", lambda: preflight.check_sqlite_version(settings), f"SQLite {sqlite3.sqlite_version}"),
        *_data(settings),
        *_database(settings),
        _locks(running),
        _port(settings, running),
        _clock(),
        _localhost_names(),
        _profile(environment),
        *_s3(settings),
        *_programs(settings),
    ]


def _raised(name: str, check: Callable[[], None], detail: str) -> Iterable[Check]:
    try:
        check()
    except Error as error:
        return [Check(name, "fail", error.message, error.hint)]
    return [Check(name, "ok", detail)]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Check("python", "fail", f"Python {version}", "Use Python 3.11, 3.12 or 3.13.")
    return Check("python", "ok", f"Python {version}")


def _data(settings: Settings) -> Iterable[Check]:
    data = settings.data.absolute()
    if not data.exists():
        yield Check("data", "ok", f"{data} will be made at the first start")
        return
    yield from _raised("data", lambda: preflight.check_folder(data), str(data))
    free = figures.free_bytes(data)
    detail = f"{free / 1e9:.1f} GB free"
    if free < settings.disk_free_bytes_min:
        yield Check("disk", "fail", detail, "Free some space: new writes are refused.")
    elif free < figures.warning_bytes(settings):
        yield Check("disk", "warn", detail, "Free some space soon: `af storage gc`, or a larger disk.")
    else:
        yield Check("disk", "ok", detail)
    segments = data / "blocks"
    if segments.is_dir():
        size = sum(file.stat().st_size for file in segments.rglob("*") if file.is_file())
        yield Check("blocks", "ok", f"{size / 1e6:.1f} MB in {segments}")


def _database(settings: Settings) -> Iterable[Check]:
    if settings.sqlite and not settings.sqlite_path.exists():
        return [Check("database", "ok", "SQLite, will be made at the first start")]
    from af.server import reachable

    try:
        detail = asyncio.run(reachable.describe(settings))
    except Error as error:
        return [Check("database", "fail", f"{error.message} {error.detail}".strip(), error.hint)]
    return [Check("database", "ok", detail)]


def _locks(running: Mapping[str, int]) -> Check:
    if not running:
        return Check("running", "ok", "nothing runs on this data folder")
    who = ", ".join(f"{target} (process {pid})" for target, pid in running.items())
    return Check("running", "ok", who)


def _port(settings: Settings, running: Mapping[str, int]) -> Check:
    """Whether the port is ours, free, or taken."""
    holder = listen.holder_of(settings.port)
    if holder is None:
        try:
            preflight.check_port(settings.port)
        except Error as error:
            return Check("port", "fail", error.message, error.hint)
        return Check("port", "ok", f"{settings.port} is free")
    if running:
        return _answers(settings.port)
    return Check(
        "port", "warn", f"{settings.port} is taken by process {holder.pid} ({holder.name})", "Use --port, or stop it."
    )


def _answers(port: int) -> Check:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/ready")
        response = connection.getresponse()
        document = json.loads(response.read(65536))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Check("port", "fail", f"{port} does not answer /ready: {error}", "Look at the platform's log.")
    finally:
        connection.close()
    if response.status != 200:
        bad = ", ".join(f"{name}: {state}" for name, state in document.get("checks", {}).items() if state != "ok")
        return Check("port", "fail", f"{port} answers, but is not ready ({bad})", "Look at the platform's log.")
    return Check("port", "ok", f"{port} answers and is ready")


def _clock() -> Check:
    """Signatures and expiry need a clock that is roughly right; the newest thing that we know is our own code."""
    from af.core.clock import SystemClock

    newest = max(os.stat(module.__file__).st_mtime for module in (listen, locks, preflight) if module.__file__)
    now = SystemClock().now()
    if now.timestamp() < newest - 86_400:
        return Check(
            "clock", "fail", f"{now:%Y-%m-%d %H:%M} UTC is before this program was installed", "Set the clock."
        )
    return Check("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC")


def _localhost_names() -> Check:
    """Browsers know ``*.localhost`` by themselves; other programs ask the resolver."""
    try:
        socket.getaddrinfo("af-doctor.localhost", 80, type=socket.SOCK_STREAM)
    except OSError:
        return Check(
            "names",
            "warn",
            "this resolver does not know *.localhost (browsers do)",
            "With curl: --resolve NAME.localhost:PORT:127.0.0.1, or a Host header. glibc: install libnss-myhostname.",
        )
    return Check("names", "ok", "*.localhost resolves")


def _profile(environment: Mapping[str, str]) -> Check:
    file = profile.path(environment)
    if file is None:
        return Check("profile", "warn", "no home folder", "Set AF_CONFIG_DIR, or AF_TOKEN and AF_API_URL.")
    try:
        found = profile.read(file)
    except (OSError, ValueError) as error:
        return Check("profile", "fail", str(error), f"Mend or remove {file}; `af up` writes it anew.")
    if found is None:
        return Check("profile", "ok", "no local profile yet: `af up` makes it")
    if file.stat().st_mode & 0o077:
        return Check("profile", "warn", f"{file} can be read by others", f"chmod 600 {file}")
    return Check("profile", "ok", f"local profile for {found.api_url}")


def _s3(settings: Settings) -> Iterable[Check]:
    """The bucket, where blocks are kept in one."""
    if settings.block_backend != "s3":
        return []
    from af.storage.backends.s3 import configured

    try:
        return [Check("s3", "ok", asyncio.run(configured.describe(settings)))]
    except Error as error:
        return [Check("s3", "fail", f"{error.message} {error.detail}".strip(), error.hint)]


def _programs(settings: Settings) -> Iterable[Check]:
    """Optional programs: only what a setting asks for can fail."""
    yield _kubo(settings)
    yield Check("node", "ok", _where("node") or "not installed; only for building the dashboard")
    docker = "/var/run/docker.sock"
    yield Check("docker", "ok", docker if os.path.exists(docker) else "no Docker here; not needed for sites")


def _kubo(settings: Settings) -> Check:
    """The node beside the platform, or the one elsewhere. Without it everything but its own task goes on, unless it is
    the block store."""
    from af.server import kubo, reachable

    beside = kubo.running(settings)
    if beside is None and settings.kubo:
        return _kubo_program(settings)
    named = beside or settings
    if not named.kubo_rpc_url:
        return Check("kubo", "ok", _where("ipfs") or "not installed; not needed, blocks are kept in segments")
    is_store = settings.block_backend == "kubo"
    try:
        version, peers = asyncio.run(reachable.ask_kubo(named, _ANSWER_SECONDS))
    except Error as error:
        return Check("kubo", "fail" if is_store else "warn", error.message, error.hint)
    detail = f"Kubo {version}, {peers} {'peer' if peers == 1 else 'peers'}, at {named.kubo_rpc_url}"
    if is_store and peers:
        fix = "Start it with `ipfs daemon --offline`: it gives private blocks to nodes that know their CIDs."
        return Check("kubo", "warn", f"{detail}, holds private blocks", fix)
    if not peers and settings.kubo_network == "public":
        return Check(
            "kubo", "warn", detail, "Nobody gets content from it: let it through the firewall to the internet."
        )
    return Check("kubo", "ok", detail)


def _kubo_program(settings: Settings) -> Check:
    from af.server import kubo

    try:
        return Check("kubo", "ok", f"Kubo {kubo.examine(settings)}, will be started with the platform")
    except Error as error:
        return Check("kubo", "fail", f"{error.message} {error.detail}".strip(), error.hint)


def _where(program: str) -> str:
    return shutil.which(program) or ""
