"""`af up` with stand-in parts: ``standin_front.py DATA BEHAVIOUR [DRAIN_SECONDS]``; prints ``ready``, then ``end``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from af.core.errors import Error
from af.core.settings import load
from af.server.launch import Ready, launch
from af.server.parts import PartSpec

_PART = Path(__file__).with_name("standin_part.py")


def main() -> int:
    data, behaviour, drain = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
    settings = load({}, data=Path(data), port=0, drain_seconds=drain)

    (Path(data) / "sources").mkdir(parents=True, exist_ok=True)

    def command(_spec: PartSpec) -> list[str]:
        return [sys.executable, str(_PART), behaviour]

    def on_ready(ready: Ready) -> None:
        print(f"ready {ready.pid} {ready.port}", flush=True)

    try:
        ending = launch(
            settings,
            frozenset({"gateway", "api", "worker"}),
            environment=os.environ,
            on_ready=on_ready,
            command=command,
            sources=Path(data) / "sources",
        )
    except Error as error:
        print(f"refused {error.reference} {error.message}", flush=True)
        return error.exit_code
    failure = ending.failure
    print(f"end {ending.code} {failure.reference if failure else '-'} {failure.message if failure else ''}", flush=True)
    return ending.code


if __name__ == "__main__":
    sys.exit(main())
