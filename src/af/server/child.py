"""``python -m af.server.child NAME``: one part, as the keeper starts it. First ties its life to the keeper's, then
imports what the part needs (the slow step, done while another part prepares the data), then runs it."""

from __future__ import annotations

import os
import resource
import sys
from typing import NoReturn

from af.server import offspring
from af.server.channel import Channel
from af.server.parts import PartSpec

OPEN_FILES_WANTED = 65_536
"""Each connection is one. Shells and services commonly start with 1,024, which a few idle clients would use up."""


def main() -> None:
    spec = PartSpec.from_environment(os.environ)
    offspring.die_with_parent(spec.keeper)
    _allow_many_files()
    offspring.name_process(f"af-{spec.name}")
    if spec.is_foreign:
        _become_kubo(spec)
    sys.modules["rich"] = None  # type: ignore[assignment] # structlog would import it (10 MB) for coloured tracebacks
    from af.server import run

    run.main(spec)


def _become_kubo(spec: PartSpec) -> NoReturn:
    """The keeper hears that it was started, and the end of its channel."""
    from af.server import kubo

    os.set_inheritable(spec.control_descriptor, False)
    Channel.from_descriptor(spec.control_descriptor).send({"event": "ready"})
    kubo.become(os.environ)


def _allow_many_files() -> None:
    """Raise our limit of open files as far as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    main()
