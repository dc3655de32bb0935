"""Wall time of `af --version`, next to programs that do as little: medians and minima of 20 runs, as one JSON line.

The version is answered before click is imported; `af_help_ms` (`af deploy --help`) is what a command costs before it
does anything.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20
BAR_MS = 60
AF = Path(sys.executable).with_name("af")


def measure(*command: str | Path) -> tuple[float, float]:
    """Median and minimum in milliseconds, after one run that fills the caches."""
    times = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(times[1:]), 1), round(min(times[1:]), 1)


def main() -> None:
    af, af_least = measure(AF, "--version")
    help_of_verb, _ = measure(AF, "deploy", "--help")
    bare, _ = measure(sys.executable, "-c", "pass")
    git, _ = measure("git", "--version")
    shown = {"af_ms": af, "af_min_ms": af_least, "af_help_ms": help_of_verb, "python_pass_ms": bare, "git_ms": git}
    print(json.dumps({"bench": "cli_start", **shown, "runs": RUNS, "bar_ms": BAR_MS}))


if __name__ == "__main__":
    main()
