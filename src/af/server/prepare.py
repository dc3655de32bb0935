"""What one part does before the others go on: the database's tables, the owner with project and token, the command
line's profile, and the one-time login link. Idempotent; all of it is there before `/ready` answers 200."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from af import auth, projects
from af.core import db, migrations
from af.core.context import SYSTEM, Context
from af.core.db import Database
from af.core.errors import Error
from af.core.settings import Settings
from af.projects import Bootstrap
from af.server import profile, wiring


@dataclass(frozen=True, slots=True)
class Facts:
    """What the front tells people: the secret part of the login link, and the owner's token for the example site."""

    login: str
    token: str


async def prepare(settings: Settings, environment: Mapping[str, str], *, port: int, welcomes: bool) -> Facts:
    """``welcomes``: this instance has the API, so people get an owner, a profile and a login link.

    :raises af.core.errors.Error: the database is unreachable or newer than this program."""
    url = db.async_url(settings.database_url, settings.sqlite_path)
    database = Database(url)
    try:
        await database.ping()  # fails early and with a typed error: what migrations raise would say less
    finally:
        await database.close()
    await migrations.upgrade(url)
    async with wiring.open_platform(settings, port=port) as platform:
        system = platform.context(SYSTEM)
        if not welcomes:
            return Facts(login="", token="")
        found = await projects.bootstrap(system)
        token = await _write_profile(system, platform.url(settings.domain), found, environment)
        return Facts(login=await auth.create_login_link(system, found.user.id), token=token)


async def _write_profile(system: Context, url: str, found: Bootstrap, environment: Mapping[str, str]) -> str:
    """Write the ``local`` profile with the token just made, the one it has if that is still good here, or a new one.
    A profile that cannot be written is no reason not to start. Returns the token."""
    file = profile.path(environment)
    try:
        before = profile.read(file) if file is not None else None
        token = found.token
        if token is None and before is not None and await _is_good(system, found, before.token):
            token = before.token
        if token is None:
            token = await projects.owner_token(system)
        wanted = profile.Profile(url, token, found.project.id)
        if file is not None and wanted != before:
            profile.write(file, wanted)
    except (OSError, ValueError) as error:
        system.log.warning("the local profile was not written", path=str(file), reason=str(error))
        return found.token or await projects.owner_token(system)
    return token


async def _is_good(system: Context, found: Bootstrap, token: str) -> bool:
    """Whether the token is the owner's and still accepted in full."""
    try:
        grant = await auth.authenticate_token(system, token)
    except Error:
        return False
    return grant.user_id == found.user.id and grant.scopes is None and grant.project_id is None
