"""What one part does before the others go on: the database's tables, the owner with project and token, the command
line's profile, and the one-time login link. Idempotent; all of it is there before `/ready` answers 200."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from af import auth, projects
from af.core import db, migrations
from af.core.context import SYSTEM, Actor, ActorKind, Context
from af.core.errors import Error
from af.core.settings import Settings
from af.projects import Bootstrap
from af.server import profile, wiring

_TOKEN_NAME = "af up"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the front tells people: the secret part of the login link, and the owner's token for the example site."""

    login: str
    token: str


async def prepare(settings: Settings, environment: Mapping[str, str], *, port: int) -> Facts:
    """:raises af.core.errors.Error: the database is unreachable or newer than this program."""
    await migrations.upgrade(db.async_url(settings.database_url, settings.sqlite_path))
    async with wiring.open_platform(settings, port=port) as platform:
        system = platform.context(SYSTEM)
        bootstrap = await projects.bootstrap(system)
        owner = system.acting_as(Actor(ActorKind.USER, user_id=bootstrap.user.id))
        token = await _write_profile(platform.url(settings.domain), bootstrap, owner, environment)
        return Facts(login=await auth.create_login_link(system, bootstrap.user.id), token=token)


async def _write_profile(url: str, bootstrap: Bootstrap, owner: Context, environment: Mapping[str, str]) -> str:
    """Write the ``local`` profile with the token just made, the one it has if that is still good here, or a new one.
    A profile that cannot be written is no reason not to start. Returns the token."""
    log = structlog.get_logger()
    file = profile.path(environment)
    try:
        before = profile.read(file) if file is not None else None
    except (OSError, ValueError) as error:
        log.warning("the local profile was not written", path=str(file), reason=str(error))
        return bootstrap.token or ""
    token = bootstrap.token
    if token is None and before is not None and await _is_good(owner, before.token):
        token = before.token
    if token is None:
        created = await auth.create_token(owner, _TOKEN_NAME, scopes=None, project_id=None, expires_at=None)
        token = created.token
    wanted = profile.Profile(url, token, bootstrap.project.id)
    if file is not None and wanted != before:
        try:
            profile.write(file, wanted)
        except (OSError, ValueError) as error:
            log.warning("the local profile was not written", path=str(file), reason=str(error))
    return token


async def _is_good(owner: Context, token: str) -> bool:
    """Whether the token is the owner's and still accepted."""
    try:
        actor = await auth.authenticate_token(owner, token)
    except Error:
        return False
    return actor.user_id == owner.actor.user_id
