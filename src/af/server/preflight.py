"""What must hold before anything is started, each with its fix. Cheap, and without the database's libraries: what needs
those (reachable, not newer than us) is checked by the part that prepares."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

from af.core.settings import Settings
from af.server.errors import DataFolderUnusable, DiskNearlyFull, PortNotAllowed, SqliteUnsuitable

_SQLITE_MIN = (3, 35, 0)  # RETURNING
_SQLITE_MIN_PYTHON_312 = (3, 42, 0)  # DBOS needs it from Python 3.12 on


def check(settings: Settings, targets: frozenset[str]) -> None:
    """Make and check the data folder, the disk, SQLite and the port.

    :raises af.core.errors.Error: the first thing that is wrong, with its fix.
    """
    check_folder(settings.data)
    if "api" in targets or "worker" in targets:
        check_disk(settings.data, settings.disk_free_bytes_min)
    check_sqlite(settings)
    check_port(settings.port)


def check_folder(data: Path) -> None:
    """:raises DataFolderUnusable:"""
    hint = f"Choose another folder with --data, or make {data} writable for this user."
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = data / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except FileExistsError as error:
        raise DataFolderUnusable(f"{data} is not a folder.", hint="Choose another folder with --data.") from error
    except OSError as error:
        raise DataFolderUnusable(f"The data folder {data} cannot be written: {error.strerror}.", hint=hint) from error


def check_disk(data: Path, free_bytes_min: int) -> None:
    """:raises DiskNearlyFull:"""
    free = shutil.disk_usage(data).free
    if free < free_bytes_min:
        raise DiskNearlyFull(
            f"Only {free >> 20} MiB are free on the disk of {data}; {free_bytes_min >> 20} MiB are needed.",
            hint="Free some space, choose another folder with --data, or lower AF_DISK_FREE_BYTES_MIN.",
        )


def check_sqlite(settings: Settings) -> None:
    """The library's version, and that the file system can do write-ahead logging.

    :raises SqliteUnsuitable:
    """
    check_sqlite_version(settings)
    _check_write_ahead_log(settings.data)


def check_sqlite_version(settings: Settings) -> None:
    """:raises SqliteUnsuitable:"""
    needed = _SQLITE_MIN_PYTHON_312 if sys.version_info >= (3, 12) and settings.sqlite else _SQLITE_MIN
    if sqlite3.sqlite_version_info < needed:
        wanted = ".".join(map(str, needed))
        raise SqliteUnsuitable(
            f"SQLite {sqlite3.sqlite_version} is too old for Python {sys.version_info[0]}.{sys.version_info[1]}; "
            f"{wanted} is needed.",
            hint=f"Use Python 3.11, a Python built with SQLite {wanted} or newer, or PostgreSQL by AF_DATABASE_URL.",
        )


def _check_write_ahead_log(data: Path) -> None:
    probe = data / f".probe-{os.getpid()}.sqlite"
    try:
        connection = sqlite3.connect(probe)
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            connection.execute("CREATE TABLE probe (id INTEGER)")
        finally:
            connection.close()
    except sqlite3.Error as error:
        mode = str(error)
    finally:
        for name in (probe, Path(f"{probe}-wal"), Path(f"{probe}-shm")):
            name.unlink(missing_ok=True)
    if mode != "wal":
        raise SqliteUnsuitable(
            f"The file system of {data} cannot do write-ahead logging (SQLite answered {mode!r}).",
            hint="Put the data folder on a local disk (--data); network file systems do not work.",
        )


def check_port(port: int) -> None:
    """:raises PortNotAllowed:"""
    if 0 < port < _first_free_port() and not _may_bind_low():
        raise PortNotAllowed(
            f"This user may not listen on port {port}.",
            hint="Choose a port above 1023 with --port, or run with the CAP_NET_BIND_SERVICE capability.",
        )


def _first_free_port() -> int:
    """Ports from here on need no privilege; 1024 unless the administrator changed it."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _may_bind_low() -> bool:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> 10 & 1)  # CAP_NET_BIND_SERVICE
    except OSError:
        pass
    return os.geteuid() == 0
