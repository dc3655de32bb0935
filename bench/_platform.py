"""A platform for a measurement: `af up` on a free port and an empty folder, gone afterwards."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AF = Path(sys.executable).with_name("af")
_READY_SECONDS = 60.0


def environment(folder: Path) -> dict[str, str]:
    """Ours without settings of a platform, with a configuration folder of its own."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AF_", "FLEEK_"))}
    return {**clean, "AF_CONFIG_DIR": str(folder / "config")}


@contextlib.contextmanager
def platform(folder: Path | None = None, *arguments: str) -> Iterator[dict[str, Any]]:
    """The object that `af up --json` prints, for the time of the block."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="af-bench-")))
        log = stack.enter_context((folder / "log").open("ab"))
        command = [AF, "up", "--port", "0", "--data", folder / "data", "--json", *arguments]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=environment(folder)
        )
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for_ready(port: int) -> None:
    """Until ``/ready`` answers 200."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_READY_SECONDS)
        with contextlib.suppress(OSError):
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        connection.close()
        time.sleep(0.005)
    raise SystemExit("the platform did not become ready")
