"""The command line's ``local`` profile, written so that `af deploy` in the next terminal just works.

The file is the command line's (`af.cli.config`): ``{"active": name, "profiles": {name: {"apiUrl", "token",
"projectId"}}}``, readable by its owner only. Only the ``local`` profile is ever touched here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "local"


@dataclass(frozen=True, slots=True)
class Profile:
    api_url: str
    token: str
    project_id: str


def path(environment: Mapping[str, str]) -> Path | None:
    """Where the credentials are; `None` for a user without a home (a system service)."""
    if folder := environment.get("AF_CONFIG_DIR"):
        return Path(folder) / "credentials.json"
    if base := environment.get("XDG_CONFIG_HOME"):
        return Path(base) / "alternatefutures" / "credentials.json"
    if home := environment.get("HOME"):
        return Path(home) / ".config" / "alternatefutures" / "credentials.json"
    return None


def read(file: Path) -> Profile | None:
    """The ``local`` profile, if the file has a whole one.

    :raises OSError, ValueError: the file is there but cannot be read.
    """
    stored = _load(file).get("profiles", {}).get(NAME)
    if not isinstance(stored, dict):
        return None
    values = [stored.get(key) for key in ("apiUrl", "token", "projectId")]
    return Profile(*values) if all(isinstance(value, str) for value in values) else None  # type: ignore[arg-type]


def write(file: Path, profile: Profile) -> None:
    """Put the ``local`` profile into the file and make it the active one unless another is chosen and still there.

    :raises OSError, ValueError: the file cannot be read or replaced; it is then as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _exclusive(file):
        stored = _load(file)
        profiles = stored.setdefault("profiles", {})
        profiles[NAME] = {"apiUrl": profile.api_url, "token": profile.token, "projectId": profile.project_id}
        if stored.get("active") not in profiles:
            stored["active"] = NAME
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".credentials-")  # mkstemp makes it 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(stored, out, indent=2)
                out.flush()
                os.fsync(out.fileno())
            os.replace(temporary, file)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def _load(file: Path) -> dict[str, Any]:
    try:
        stored = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(stored, dict) or not isinstance(stored.get("profiles", {}), dict):
        raise ValueError(f"{file} is not a credentials file")
    return stored


@contextlib.contextmanager
def _exclusive(file: Path) -> Iterator[None]:
    """Two platforms that start at once must not lose each other's change."""
    descriptor = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
