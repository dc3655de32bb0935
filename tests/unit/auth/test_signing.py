"""Access tokens that are signed: what they say, what forgers send instead, and how keys are replaced."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from af.auth import service as auth
from af.auth import store
from af.auth.errors import OperatorOnly
from af.auth.models import SessionKind, Tokens
from af.auth.service import keys, memory
from af.core.clock import FixedClock
from af.core.context import ANONYMOUS, SYSTEM, Context
from tests.support import platforms
from tests.support.asgi import AsgiClient

ME = "/auth/me"


async def sign_in(ctx: Context) -> Tokens:
    async with ctx.transaction() as tx:
        assert ctx.actor.user_id is not None
        user = (await store.users.users_by_id(tx, [ctx.actor.user_id]))[ctx.actor.user_id]
        created = await auth.sessions.open_session(ctx, user, kind=SessionKind.TOKENS, method="email")
        return await auth.sessions.issue_tokens(ctx, created.session)


def packed(value: bytes | dict[str, Any]) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unpacked(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def test_it_says_what_the_originals_did(ada: Context, clock: FixedClock) -> None:
    tokens = await sign_in(ada)
    head, claims = [unpacked(part) for part in tokens.access.split(".")[:2]]
    assert head.keys() == {"alg", "typ", "kid"}
    assert head["alg"] == "ES256"
    assert claims.pop("jti")
    assert claims.pop("sessionId").startswith("ses_")
    now = int(clock.now().timestamp())
    assert claims == {
        "iss": "http://localhost",
        "aud": "alternatefutures-app",
        "sub": ada.actor.user_id,
        "userId": ada.actor.user_id,
        "type": "access",
        "iat": now,
        "exp": now + 900,
    }


async def test_it_works_until_its_end_and_knows_its_session(
    ada: Context, client: AsgiClient, clock: FixedClock
) -> None:
    app = client.as_token((await sign_in(ada)).access)
    found = (await app.get("/account/sessions")).json()["sessions"]
    assert [(each["current"], each["kind"], each["method"]) for each in found] == [(True, "tokens", "email")]
    clock.advance(timedelta(seconds=899))
    assert (await app.get(ME)).status == 200
    clock.advance(timedelta(seconds=1))
    assert (await app.get(ME)).status == 401


async def test_a_cookie_is_no_token_and_a_token_no_cookie(ada: Context, client: AsgiClient) -> None:
    tokens = await sign_in(ada)
    for text in (tokens.access, tokens.refresh):
        assert (await client.as_cookie(text).get(ME)).status == 401
    assert (await client.as_token(tokens.refresh).get(ME)).status == 401


async def test_forgeries_of_the_envelope_are_refused_with_one_text(ada: Context, client: AsgiClient) -> None:
    access = (await sign_in(ada)).access
    head, claims, signature = access.split(".")
    header, body = unpacked(head), unpacked(claims)
    ours = (await auth.keys.jwks(ada))["keys"][0]
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    theirs = stranger.as_dict(private=False)

    def hs256(secret: bytes) -> str:
        start = f"{packed({**header, 'alg': 'HS256'})}.{claims}"
        return f"{start}.{packed(hmac.digest(secret, start.encode(), 'sha256'))}"

    def by_stranger(**extra: Any) -> str:
        registry = {"alg": "ES256", "typ": "JWT", "kid": header["kid"]}
        start = f"{packed({**registry, **extra})}.{claims}"
        signed = jwt.encode(registry, body, stranger, algorithms=["ES256"]).split(".")[2]
        return f"{start}.{signed}"

    pem = ECKey.import_key(ours).as_pem(private=False)
    forged = [
        f"{packed({**header, 'alg': 'none'})}.{claims}.",
        f"{packed({**header, 'alg': 'None'})}.{claims}.{signature}",
        f"{packed({'typ': 'JWT', 'kid': header['kid']})}.{claims}.{signature}",
        hs256(pem),
        hs256(json.dumps(ours).encode()),
        hs256(b""),
        *(f"{packed({**header, 'alg': alg})}.{claims}.{signature}" for alg in ("ES384", "RS256", "EdDSA", "", 7, None)),
        *(f"{packed({**header, 'kid': kid})}.{claims}.{signature}" for kid in HOSTILE_KIDS),
        jwt.encode({"alg": "ES256", "kid": stranger.kid}, body, stranger, algorithms=["ES256"]),
        by_stranger(),
        by_stranger(jwk=theirs),
        by_stranger(jku="http://evil.example/jwks.json"),
        by_stranger(x5u="http://evil.example/cert", x5c=["AAAA"]),
        f"{packed({**header, 'jwk': ours})}.{claims}.{signature}",
        f"{packed({**header, 'crit': ['b64'], 'b64': False})}.{claims}.{signature}",
        f"{packed({**header, 'zip': 'DEF'})}.{claims}.{signature}",
        f"{head}.{packed({**body, 'exp': 9999999999})}.{signature}",
        f"{head}.{packed(b'not json')}.{signature}",
        f"{packed(b'not json')}.{claims}.{signature}",
        f"{packed(b'[' * 2000)}.{claims}.{signature}",
        f"{packed(bytes([255, 254]))}.{claims}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{claims}.{packed(bytes(64))}",
        f"{head}.{claims}.{signature[:-8]}",
        f"{head}.{claims}.{signature}.{signature}",
        f"{head}.{claims}",
        f"{access}{'A' * 5000}",
        ".".join(("A" * 1300,) * 3),
        "..",
        "...",
        "\u00e9.\u00e9.\u00e9",
    ]
    replies = [await client.as_token(text).get(ME) for text in forged]
    assert {reply.status for reply in replies} == {401}
    assert len({(reply.json()["detail"], reply.json()["code"]) for reply in replies}) == 1
    assert (await client.as_token(access).get(ME)).status == 200


HOSTILE_KIDS = (
    "other",
    "",
    "../../../../dev/null",
    "/etc/passwd",
    "' OR '1'='1",
    "x'; DROP TABLE signing_keys; --",
    "k" * 2000,
    7,
    None,
    ["a"],
)


async def test_claims_that_our_own_key_signed_are_checked_too(
    ada: Context, client: AsgiClient, clock: FixedClock
) -> None:
    body = unpacked((await sign_in(ada)).access.split(".")[1])
    bob = unpacked((await sign_in(await platforms.user(ada.platform, "bob"))).access.split(".")[1])
    now = int(clock.now().timestamp())
    wrong: list[dict[str, Any]] = [
        {"iss": "http://evil.example"},
        {"iss": "http://localhost.evil.example"},
        {"aud": "another-app"},
        {"aud": ["another-app", "alternatefutures-app"]},
        {"exp": now},
        {"exp": now - 1},
        {"exp": "9999999999"},
        {"exp": 1e99},
        {"iat": now + 61},
        {"nbf": now + 61},
        {"type": "refresh"},
        {"type": "sdk-access"},
        {"type": ""},
        {"sessionId": ""},
        {"sessionId": "ses_unknown"},
        {"sessionId": "' OR 1=1 --"},
        {"sessionId": bob["sessionId"]},
        {"sub": bob["sub"]},
        *({name: None} for name in ("iss", "aud", "sub", "type", "iat", "exp")),
    ]
    refused = [await client.as_token(await signed(ada, {**body, **change})).get(ME) for change in wrong]
    assert [reply.status for reply in refused] == [401] * len(wrong)
    assert len({reply.json()["detail"] for reply in refused}) == 1
    for fine in ({}, {"iat": now + 60}, {"nbf": now + 59}):
        assert (await client.as_token(await signed(ada, {**body, **fine})).get(ME)).status == 200


async def test_duplicate_claims_gain_nothing(ada: Context, client: AsgiClient) -> None:
    head, claims, signature = (await sign_in(ada)).access.split(".")
    plain = json.dumps(unpacked(claims))
    for twice in (plain[:-1] + ', "exp": 9999999999}', '{"exp": 9999999999, ' + plain[1:]):
        assert (await client.as_token(f"{head}.{packed(twice.encode())}.{signature}").get(ME)).status == 401
    header = json.dumps(unpacked(head))
    for twice in (header[:-1] + ', "alg": "none"}', '{"alg": "none", ' + header[1:]):
        assert (await client.as_token(f"{packed(twice.encode())}.{claims}.{signature}").get(ME)).status == 401


async def test_the_published_keys_are_public_and_verify_a_token(ada: Context, client: AsgiClient) -> None:
    access = (await sign_in(ada)).access
    reply = await client.get("/.well-known/jwks.json")
    assert "max-age=300" in reply.headers["cache-control"]
    [published] = reply.json()["keys"]
    assert published.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    key = ECKey.import_key(published)
    assert jwt.decode(access, key, algorithms=["ES256"]).claims["sub"] == ada.actor.user_id


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_are_over(
    ada: Context, client: AsgiClient, clock: FixedClock
) -> None:
    system = ada.platform.context(SYSTEM)
    old = kid_of((await sign_in(ada)).access)
    clock.advance(timedelta(seconds=1))
    new = await auth.keys.rotate_signing_keys(system)
    assert await published(client) == {old, new}
    clock.advance(keys.PUBLISHED_AHEAD - timedelta(seconds=1))
    last = (await sign_in(ada)).access
    assert kid_of(last) == old
    clock.advance(timedelta(seconds=5))
    assert kid_of((await sign_in(ada)).access) == new
    clock.advance(timedelta(seconds=890))
    assert (await client.as_token(last).get(ME)).status == 200
    clock.advance(keys.TOKEN_LIFE_MAX + keys.LATE)
    assert await published(client) == {new}
    assert await auth.prune(system) >= 1
    async with system.reading() as connection:
        assert [row.kid for row in await store.keys.rows(connection)] == [new]


async def test_a_key_that_leaked_ends_at_once_and_refresh_tokens_live_on(ada: Context, client: AsgiClient) -> None:
    tokens = await sign_in(ada)
    assert (await client.as_token(tokens.access).get(ME)).status == 200
    await auth.keys.rotate_signing_keys(ada.platform.context(SYSTEM), at_once=True)
    assert (await client.as_token(tokens.access).get(ME)).status == 401
    again = await auth.refresh.refresh(ada.platform.context(ANONYMOUS), tokens.refresh)
    assert (await client.as_token(again.access).get(ME)).status == 200


async def test_keys_are_replaced_by_the_schedule_when_they_are_old(ada: Context, clock: FixedClock) -> None:
    system = ada.platform.context(SYSTEM)
    await auth.keys.rotate_due_keys(system)  # none yet: nothing to do
    await sign_in(ada)
    for days, known in ((0, 1), (89, 1), (1, 2), (0, 2), (1, 1)):
        clock.advance(timedelta(days=days))
        await auth.keys.rotate_due_keys(system)
        assert len((await auth.keys.jwks(system))["keys"]) == known


async def test_only_the_operator_replaces_keys(ada: Context) -> None:
    with pytest.raises(OperatorOnly):
        await auth.keys.rotate_signing_keys(ada)


async def test_two_processes_that_begin_together_use_each_others_tokens(ada: Context, client: AsgiClient) -> None:
    first = (await sign_in(ada)).access
    memory.of(ada).keyring = None
    second = (await sign_in(ada)).access
    assert kid_of(first) == kid_of(second)


async def signed(ctx: Context, claims: dict[str, Any]) -> str:
    key = await keys.signing_key(ctx)
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "ES256", "typ": "JWT", "kid": key.kid}, given, key, algorithms=["ES256"])


def kid_of(token: str) -> str:
    return str(unpacked(token.split(".")[0])["kid"])


async def published(client: AsgiClient) -> set[str]:
    return {key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]}
