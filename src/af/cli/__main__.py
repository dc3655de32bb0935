"""Entry point of ``af``. Starting must stay cheap: the version needs no click, a verb nothing but click and itself."""

from __future__ import annotations

import os
import sys

import af


def main() -> None:
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"af {af.__version__}\n")
        return
    from af.cli.frame import INTERRUPTED, run
    from af.cli.root import cli

    code = run(cli, sys.argv[1:])
    if code == INTERRUPTED:
        sys.stdout.flush()
        os._exit(code)  # uploads under way are not waited for
    sys.exit(code)


if __name__ == "__main__":
    main()
