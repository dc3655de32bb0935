"""Programs that are built once per machine from their public Go modules, for tests and benchmarks.

Nothing of them is kept in this repository: a throwaway Go module in the user's cache folder requires one by version,
and `go build` compiles it. That takes minutes the first time and nothing afterwards.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

BUILD_TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class GoProgram:
    """``package`` of ``module`` at ``version``, as the file ``binary``. ``override`` is the environment variable that
    names one which is there already; ``cache`` a folder below the user's cache."""

    title: str
    module: str
    version: str
    package: str
    binary: str
    go: str
    override: str
    cache: str

    @property
    def folder(self) -> Path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return Path(base) / self.cache / f"{self.title.lower()}-{self.version}"

    def is_built(self) -> bool:
        return bool(os.environ.get(self.override)) or (self.folder / self.binary).exists()

    def find_or_build(self) -> tuple[Path | None, str]:
        """The program's path, built if need be; or why there is none."""
        given = os.environ.get(self.override)
        if given:
            return (Path(given), "") if os.access(given, os.X_OK) else (None, f"{self.override}={given} cannot be run")
        binary = self.folder / self.binary
        if binary.exists():
            return binary, ""
        if shutil.which("go") is None:
            return None, f"go is not installed ({self.title} is built from its Go module)"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes: one builds, the others wait
            if binary.exists():
                return binary, ""
            return self._build(binary)

    def or_skip(self) -> Path:
        """The program, or skips the test loudly."""
        binary, why = self.find_or_build()
        if binary is None:
            pytest.skip(f"NO {self.title.upper()}: {why}")
        return binary

    def _build(self, binary: Path) -> tuple[Path | None, str]:
        home = self.folder
        name = f"alternatefutures.invalid/{self.title.lower()}"
        (home / "go.mod").write_text(f"module {name}\n\ngo {self.go}\n\nrequire {self.module} {self.version}\n")
        # The import keeps `go build -mod=mod` from dropping the requirement.
        (home / "tools.go").write_text(f'//go:build tools\n\npackage tools\n\nimport _ "{self.package}"\n')
        partial = home / f"{self.binary}.partial"
        command = ["go", "build", "-mod=mod", "-trimpath", "-o", str(partial), self.package]
        if shutil.which("nice"):
            command = ["nice", "-n", "15", *command]
        try:
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return None, f"building {self.title} took more than {BUILD_TIMEOUT_SECONDS} s"
        if done.returncode != 0:
            (home / "build.log").write_text(done.stderr)
            return None, f"building {self.title} failed (see {home / 'build.log'}): {done.stderr.strip()[-500:]}"
        partial.replace(binary)
        return binary, ""
