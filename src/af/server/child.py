"""``python -m af.server.child NAME``: one part, as the keeper starts it. First ties its life to the keeper's, then
imports what the part needs (the slow step, done while another part prepares the data), then runs it."""

from __future__ import annotations

import os
import sys

from af.server import offspring
from af.server.parts import PartSpec


def main() -> None:
    spec = PartSpec.from_environment(os.environ)
    offspring.die_with_parent(spec.keeper)
    offspring.name_process(f"af-{spec.name}")
    sys.modules["rich"] = None  # type: ignore[assignment] # structlog would import it (10 MB) for coloured tracebacks
    from af.server import run

    run.main(spec)


if __name__ == "__main__":
    main()
