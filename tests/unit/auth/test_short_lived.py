"""The eight-minute token that SDKs exchange an access token for."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from starlette.requests import HTTPConnection

from af import auth, projects
from af.auth.errors import InvalidCredentials
from af.auth.service import memory
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, Context, Platform
from af.core.errors import NotFound
from tests.support import platforms
from tests.support.asgi import AsgiClient


async def exchange(platform: Platform, token: str, project_id: str | None = None) -> str:
    return await projects.login_with_token(platform.context(ANONYMOUS), token, project_id)


def parts(token: str) -> tuple[dict[str, object], dict[str, object]]:
    head, claims, _ = token.split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims)]
    return decoded[0], decoded[1]


async def test_it_stands_for_the_access_token_for_eight_minutes(
    ada: Context, platform: Platform, client: AsgiClient, clock: FixedClock
) -> None:
    short = await exchange(platform, await platforms.token(ada))
    head, claims = parts(short)
    assert head["alg"] == "ES256"
    assert claims["type"] == "sdk-access"
    assert claims["userId"] == ada.actor.user_id
    assert claims["exp"] - claims["iat"] == 480  # type: ignore[operator]
    assert (await client.as_token(short).get("/auth/me")).json()["user"]["username"] == "ada"
    clock.advance(timedelta(seconds=481))
    assert (await client.as_token(short).get("/auth/me")).status == 401


async def test_it_can_do_no_more_than_its_access_token_and_ends_with_it(
    ada: Context, platform: Platform, client: AsgiClient, clock: FixedClock
) -> None:
    made = await projects.create_token(ada, "reader", scopes=["sites:read"])
    short = await exchange(platform, made.text)
    ctx = platform.context(ANONYMOUS)
    grant = memory.of(ctx).grants
    assert (await client.as_token(short).get("/auth/me")).status == 200
    assert {g.scopes for g in grant.values()} == {frozenset({"sites:read"})}
    await auth.revoke_token(ada, made.token.id)
    assert (await client.as_token(short).get("/auth/me")).status == 401


async def test_it_is_about_the_project_asked_for(ada: Context, platform: Platform) -> None:
    other, mine = [await projects.create_project(ada, name) for name in ("other", "mine")]
    bob = await platforms.user(platform, "bob")
    theirs = await projects.create_project(bob, "theirs")
    token = await platforms.token(ada)
    short = await exchange(platform, token, mine.slug)
    assert parts(short)[1]["projectId"] == mine.id
    header = {"type": "http", "method": "GET", "headers": [(b"authorization", b"Bearer " + short.encode())]}
    actor = await auth.authenticate(platform.context(ANONYMOUS), HTTPConnection(header))
    ctx = platform.context(actor)
    assert (await projects.selected(ctx)).id == mine.id
    assert {project.id for project in await projects.list_projects(ctx)} == {mine.id, other.id}
    for hidden in (theirs.id, "prj_nothing"):
        with pytest.raises(NotFound):
            await exchange(platform, token, hidden)


@pytest.mark.parametrize("bad", ["", "af_live_x", "a.b.c", "x" * 46])
async def test_only_an_access_token_is_exchanged(ada: Context, platform: Platform, bad: str) -> None:
    with pytest.raises(InvalidCredentials):
        await exchange(platform, bad)
    with pytest.raises(InvalidCredentials):
        await exchange(platform, await exchange(platform, await platforms.token(ada)))


async def test_forged_tokens_are_refused(ada: Context, platform: Platform, client: AsgiClient) -> None:
    short = await exchange(platform, await platforms.token(ada))
    head, claims, signature = short.split(".")

    def packed(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    header, body = parts(short)
    forged = [
        f"{packed({**header, 'alg': 'none'})}.{claims}.",
        f"{packed({**header, 'alg': 'HS256'})}.{claims}.{signature}",
        f"{packed({**header, 'kid': 'other'})}.{claims}.{signature}",
        f"{head}.{packed({**body, 'exp': 9999999999})}.{signature}",
        f"{head}.{packed({**body, 'userId': 'usr_other'})}.{signature}",
        f"{head}.{claims}.{signature[:-4]}AAAA",
        f"{head}.{claims}",
        "..",
        "\xff.\xff.\xff",
    ]
    for text_ in forged:
        assert (await client.as_token(text_).get("/auth/me")).status == 401, text_


async def test_the_private_key_is_sealed_and_survives_a_restart(
    ada: Context, platform: Platform, client: AsgiClient
) -> None:
    short = await exchange(platform, await platforms.token(ada))
    async with platform.database.reading() as connection:
        row = (await connection.execute(text("SELECT * FROM signing_keys"))).one()
    assert "d" not in json.loads(row.public_jwk) if isinstance(row.public_jwk, str) else "d" not in row.public_jwk
    assert b'"d"' not in bytes(row.sealed_private_jwk)
    memory.of(platform.context(ANONYMOUS)).keyring = None
    memory.of(platform.context(ANONYMOUS)).grants.clear()
    assert (await client.as_token(short).get("/auth/me")).status == 200
    again = await exchange(platform, await platforms.token(ada))
    assert parts(again)[0]["kid"] == parts(short)[0]["kid"]
