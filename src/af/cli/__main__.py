"""Entry point of ``af``. Starting must stay cheap: the version needs no click, a verb nothing but click and itself."""

from __future__ import annotations

import sys

import af


def main() -> None:
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"af {af.__version__}\n")
        return
    from af.cli.frame import run
    from af.cli.root import cli

    sys.exit(run(cli, sys.argv[1:]))


if __name__ == "__main__":
    main()
