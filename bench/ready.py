"""How long `af up` takes until `/ready` answers 200: on an empty folder (first) and on a used one (again)."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench._platform import AF, environment, wait_for_ready

ROUNDS = 5


def _start_once(folder: Path) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("ab") as log:
        began = time.perf_counter()
        command = [AF, "up", "--port", str(port), "--data", folder / "data", "--json"]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment(folder))
        try:
            wait_for_ready(port)
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(30)


def main() -> None:
    first, again = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="af-bench-") as name:
            first.append(_start_once(Path(name)))
            again.append(_start_once(Path(name)))
    print(
        json.dumps(
            {
                "bench": "ready",
                "first_seconds": round(statistics.median(first), 3),
                "again_seconds": round(statistics.median(again), 3),
                "worst_seconds": round(max(first + again), 3),
                "rounds": ROUNDS,
                "bar_seconds": 2.5,
            }
        )
    )


if __name__ == "__main__":
    main()
