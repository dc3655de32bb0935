"""Where ``af`` keeps and finds what it needs: the credentials file of the user, the project file of a folder.

Order of precedence: environment (``AF_*``, then ``FLEEK_*``), then the active profile, then the defaults.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from alternatefutures.client import DEFAULT_URL
from alternatefutures.errors import ConfigError, NotFoundHere

PROJECT_FILES = (
    "af.json",
    "af.toml",
    "af.config.json",
    "af.config.js",
    "af.config.ts",
    "fleek.config.json",
    "fleek.config.js",
    "fleek.config.ts",
)
_SCRIPT_SECONDS = 20
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """The platform to talk to, and as whom."""

    url: str
    token: str
    project_id: str
    profile: str
    session: bool = False
    """``token`` is the access token of the profile's session, as `af.cli.keeping` renews it."""
    from_environment: bool = False
    """``token`` is AF_TOKEN's, whatever the profile holds."""


@dataclass(slots=True)
class Credentials:
    """The credentials file: ``{"active": name, "profiles": {name: {"apiUrl", "projectId", …}}}``. A profile holds an
    access token (``token``), or the tokens of a session: ``accessToken``, ``refreshToken`` ("" for a pipeline's) and
    ``expiresAt`` (RFC 3339, by this machine's clock). ``method`` is how it was made: ``browser``, ``email``, ``ci``."""

    active: str = ""
    profiles: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """What a project file says: the site's slug and the folder with the built files."""

    site: str | None = None
    output: str | None = None
    source: str | None = None


def credentials_path() -> Path:
    """``AF_CONFIG_DIR``, else ``XDG_CONFIG_HOME/alternatefutures``, else ``~/.config/alternatefutures``."""
    folder = os.environ.get("AF_CONFIG_DIR")
    if folder:
        return Path(folder) / "credentials.json"
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "alternatefutures" / "credentials.json"


def load_credentials() -> Credentials:
    path = credentials_path()
    try:
        stored = json.loads(path.read_text("utf-8"))
        profiles = {name: dict(profile) for name, profile in stored.get("profiles", {}).items()}
        if not all(isinstance(value, str) for profile in profiles.values() for value in profile.values()):
            raise ValueError("a value in a profile is not text")
        return Credentials(str(stored.get("active", "")), profiles)
    except FileNotFoundError:
        return Credentials()
    except (ValueError, AttributeError, TypeError, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read.", cause=str(error), hint="Mend it, or remove it and run `af login`."
        ) from error


@contextmanager
def editing() -> Iterator[Credentials]:
    """The credentials, saved at the end of the block; nobody else (`af up`, say) changes them meanwhile."""
    path = credentials_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        credentials = load_credentials()
        yield credentials
        save_credentials(credentials)
    finally:
        os.close(descriptor)


def save_credentials(credentials: Credentials) -> None:
    """Write the file for its owner only (0600), replacing it in one step."""
    path = credentials_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".credentials-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"active": credentials.active, "profiles": credentials.profiles}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def access(profile: str | None = None) -> Access:
    """The address, token and project that apply now.

    A profile's token and project are for its own platform: where ``AF_API_URL`` names another host they are not sent.
    """
    stored = load_credentials()
    name = profile or os.environ.get("AF_PROFILE") or stored.active
    if (profile or os.environ.get("AF_PROFILE")) and name not in stored.profiles:
        raise NotFoundHere(f"There is no profile {name!r}.", hint="`af login --profile NAME` makes one.")
    chosen = stored.profiles.get(name, {})
    own = chosen.get("apiUrl") or DEFAULT_URL
    url = os.environ.get("AF_API_URL") or own
    if _host(url) != _host(own):
        chosen = {}
    given = os.environ.get("AF_TOKEN") or os.environ.get("FLEEK_TOKEN") or ""
    return Access(
        url=url,
        token=given or chosen.get("token") or chosen.get("accessToken", ""),
        project_id=os.environ.get("AF_PROJECT_ID") or os.environ.get("FLEEK_PROJECT_ID") or chosen.get("projectId", ""),
        profile=name,
        session=not given and not chosen.get("token") and bool(chosen.get("accessToken")),
        from_environment=bool(given),
    )


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine."""
    return _host(url) == "localhost"


def _host(url: str) -> str:
    """The host, one name for all of this machine's own."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return "localhost" if host in _LOOPBACK or host.endswith(".localhost") else host


def project_file(folder: Path, *, programs: bool = True) -> ProjectFile:
    """The first project file in ``folder``, without ``programs`` the first that is data; else an empty one."""
    for name in PROJECT_FILES:
        path = folder / name
        if path.is_file() and (programs or path.suffix in (".json", ".toml")):
            return _interpret(_read(path), name)
    return ProjectFile()


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".toml":
            return tomllib.loads(path.read_text("utf-8"))
        if path.suffix == ".json":
            return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path.name} is not valid.", cause=str(error)) from error
    return _evaluate(path)


def _evaluate(path: Path) -> Any:
    """The value that a JavaScript or TypeScript file exports; it is a program, so a runtime must be present."""
    script = (
        "import { pathToFileURL } from 'node:url';"
        "const m = await import(pathToFileURL(process.argv[1]).href); let c = 'default' in m ? m.default : m;"
        "if (typeof c === 'function') c = await c(); console.log(JSON.stringify(await c));"
    )
    node = shutil.which("node")
    if node is None:
        raise ConfigError(f"{path.name} is a program and no `node` was found.", hint="Write the settings in af.json.")
    options = ["--experimental-strip-types"] if path.suffix == ".ts" else []
    arguments = [node, *options, "--no-warnings", "--input-type=module", "-e", script, str(path.resolve())]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_SCRIPT_SECONDS, check=True)
        return json.loads(done.stdout.rstrip().rpartition("\n")[2])  # the program may have printed more before
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1:] or ["no output"]
        raise ConfigError(f"{path.name} failed.", cause=reason[0], hint="Write the settings in af.json.") from error
    except (subprocess.TimeoutExpired, ValueError, RecursionError) as error:
        raise ConfigError(f"{path.name} exported nothing usable.", cause=str(error)) from error


def _interpret(document: Any, name: str) -> ProjectFile:
    """Both our shape (``site``, ``output``) and the original one (``sites: [{slug, distDir}]``)."""
    if not isinstance(document, dict):
        raise ConfigError(f"{name} must hold an object.", hint='For example {"site": "blog", "output": "dist"}.')
    sites = document.get("sites")
    first = sites[0] if isinstance(sites, list) and sites and isinstance(sites[0], dict) else {}
    site = document.get("site") or first.get("slug")
    output = document.get("output") or document.get("distDir") or first.get("distDir")
    for key, value in (("site", site), ("output", output)):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{key!r} in {name} must be text.")
    return ProjectFile(site=site, output=output, source=name)
