"""The log lines of front and keeper, in the same JSON shape as the parts' (`af.core.log`), without its imports; and the
log file that is used when standard error is a terminal, kept below a bound."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from datetime import UTC
from pathlib import Path

from af.core.clock import SystemClock, iso

LOG_BYTES_MAX = 16 << 20
LOG_CHECK_SECONDS = 60.0


def log_path(data: Path) -> Path:
    return data / "logs" / "platform.log"


def open_log(data: Path) -> int:
    """The log file, opened for appending by several processes at once."""
    path = log_path(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    rotate(data)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate(data: Path) -> None:
    """Keep the log and one earlier copy, 16 MiB each. The file is copied and emptied, not renamed, since the parts keep
    it open; lines written in between are lost."""
    path = log_path(data)
    earlier = path.with_suffix(".log.1")
    with contextlib.suppress(OSError):  # the keeper must outlive a full disk
        if path.stat().st_size <= LOG_BYTES_MAX:
            return
        try:
            shutil.copyfile(path, earlier)
        except OSError:
            with contextlib.suppress(OSError):
                earlier.unlink()  # no room for it
        os.truncate(path, 0)


def write(descriptor: int, event: str, *, level: str = "info", **fields: object) -> None:
    """One line: ``ts``, ``level``, ``event``, ``part``, then the fields. A log that cannot be written is no error."""
    moment = iso(SystemClock().now().astimezone(UTC))
    line = json.dumps({"ts": moment, "level": level, "event": event, "part": "supervisor", **fields}, default=str)
    try:
        os.write(descriptor, line.encode() + b"\n")
    except OSError:
        pass
