"""What the whole platform costs while nobody uses it: memory (PSS, shared pages counted once) and CPU of one core."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from af.server import offspring
from bench._platform import platform

SETTLE_SECONDS = 5.0
WATCH_SECONDS = 20.0


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _pss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    with platform() as ready:
        time.sleep(SETTLE_SECONDS)
        pids = [ready["pid"], *offspring.descendants(ready["pid"])]
        before = {pid: _cpu_seconds(pid) for pid in pids}
        began = time.perf_counter()
        time.sleep(WATCH_SECONDS)
        elapsed = time.perf_counter() - began
        cpu = {pid: _cpu_seconds(pid) - before[pid] for pid in pids}
        memory = {_name(pid): round(_pss_bytes(pid) / 1e6, 1) for pid in pids}
        by_part = {_name(pid): round(100 * spent / elapsed, 2) for pid, spent in cpu.items()}
        print(
            json.dumps(
                {
                    "bench": "idle",
                    "pss_mb": round(sum(memory.values()), 1),
                    "cpu_percent": round(100 * sum(cpu.values()) / elapsed, 2),
                    "pss_mb_by_part": memory,
                    "cpu_percent_by_part": by_part,
                    "bar_pss_mb": 250,
                    "bar_cpu_percent": 2.0,
                }
            )
        )


if __name__ == "__main__":
    main()
