"""Signing in a device that has no browser of its own: the command line (RFC 8628, with the original's routes).

The device begins, shows an address and a code, and asks again and again; a person who is signed in in a browser opens
the address, compares the code and approves. A device on the same machine may also name a loopback address (RFC 8252)
with a PKCE challenge (RFC 7636): approval then hands the browser a one-time code to bring there. Whoever comes first
gets the tokens, the other one finds the request used.

Nothing that could be stolen waits in the database: approval opens the session, so that it is listed and can be ended,
but its tokens are made only for whoever collects them. A row of ``challenges`` holds the request; its ``subject`` is
the state (`PENDING`, `APPROVED`, `DENIED`) and its ``secret`` the sealed `_Request`.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from af.auth import pkce, redirects, rules, store
from af.auth.errors import DeviceDenied, DeviceProofWrong, DeviceRequestOver, PersonRequired, PollTooFast, UserCodeWrong
from af.auth.models import Challenge, Purpose, Session, SessionKind, Tokens, User
from af.auth.service import sessions
from af.auth.service.users import require_person
from af.core import audit, ids, limits, seal
from af.core.context import Actor, ActorKind, Context
from af.core.errors import InvalidInput
from af.core.ids import ChallengeId, SessionId
from af.core.limits import Limit, TooOften

METHOD = "device"
LIFE = timedelta(minutes=10)
INTERVAL = timedelta(seconds=2)
EXCHANGES_MAX = 5
PENDING, APPROVED, DENIED = "pending", "approved", "denied"
USER_CODE_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""RFC 8628 §6.1: no vowels, so no words; none that look alike."""
USER_CODE_LENGTH = 8
NAME_LENGTH_MAX = 100
REDIRECT_LENGTH_MAX = 500

STARTS = Limit("devices that begin to sign in", 30, timedelta(minutes=10))
ANSWERS = Limit("answers to devices", 30, timedelta(minutes=10))
EXCHANGES = Limit("codes of devices", 30, timedelta(minutes=10))
POLLS = Limit("questions of a waiting device", 2, 2 * (INTERVAL - timedelta(milliseconds=500)))
"""Networks are uneven: two questions may come close together."""

_ID_LENGTH = 32  # 24 random bytes


class _Request(msgspec.Struct, frozen=True):
    """What is kept of a request, sealed."""

    name: str
    user_code: str
    address: str
    user_agent: str
    redirect_uri: str = ""
    code_challenge: str = ""
    session_id: str = ""
    code_hash: str = ""


@dataclass(frozen=True, slots=True)
class DeviceStarted:
    """What the device gets. ``poll_secret`` is its own; the person sees ``url`` and ``user_code``."""

    id: str
    poll_secret: str
    url: str
    user_code: str
    expires_in_seconds: int
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class DevicePending:
    """What the person decides on: who calls itself what, and from where it asked."""

    id: str
    name: str
    user_code: str
    address: str
    device: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DeviceDecided:
    """``redirect_to`` is the device's loopback address with its answer; the browser goes there, when there is one.

    A page must not get there by the redirect of a form's answer: ``form-action 'self'`` forbids that in Chromium."""

    redirect_to: str | None


@dataclass(frozen=True, slots=True)
class DeviceTokens:
    """The device is in."""

    user: User
    session: Session
    tokens: Tokens


async def start(ctx: Context, *, name: str = "", redirect_uri: str = "", code_challenge: str = "") -> DeviceStarted:
    """A device asks to be let in. Anyone may ask; ``name`` is what it calls itself.

    :raises InvalidInput: a redirect that is no loopback address, or only one of redirect and challenge.
    """
    await limits.take(ctx, STARTS, ctx.actor.network)
    name = "".join(letter if letter.isprintable() else " " for letter in name).strip()[:NAME_LENGTH_MAX]
    if redirect_uri or code_challenge:
        _check_redirect(redirect_uri)
        if not pkce.is_challenge(code_challenge):
            raise InvalidInput("codeChallenge is the S256 of RFC 7636: 43 characters.", field="codeChallenge")
    identifier, poll_secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
    request = _Request(name, _new_user_code(), ctx.actor.address, ctx.actor.user_agent, redirect_uri, code_challenge)
    challenge_id = ChallengeId(ids.new(ids.CHALLENGE, ctx.now))
    challenge = Challenge(
        id=challenge_id,
        method=METHOD,
        purpose=Purpose.SIGN_IN,
        user_id=None,
        subject=PENDING,
        flow_hash=rules.digest(poll_secret),
        lookup_hash=rules.digest(identifier),
        secret=_sealed(ctx, challenge_id, request),
        attempts=0,
        attempts_max=EXCHANGES_MAX,
        return_to="",
        expires_at=ctx.now + LIFE,
        used_at=None,
        created_at=ctx.now,
    )
    async with ctx.transaction() as tx:
        await store.challenges.insert(tx, challenge)
    url = f"{ctx.platform.url(ctx.settings.domain)}/login/{identifier}"
    seconds = int(INTERVAL.total_seconds())
    return DeviceStarted(identifier, poll_secret, url, request.user_code, int(LIFE.total_seconds()), seconds)


async def pending(ctx: Context, identifier: str) -> DevicePending:
    """What waits for an answer, for a person who is signed in.

    :raises DeviceRequestOver: unknown, answered, or its time is over.
    """
    await require_person(ctx)
    await limits.take(ctx, ANSWERS, f"looks:{ctx.actor.user_id}")
    challenge, request = await _find(ctx, identifier)
    if challenge.subject != PENDING:
        raise _over()
    device = _program(request.user_agent)
    times = (challenge.created_at, challenge.expires_at)
    return DevicePending(identifier, request.name, request.user_code, request.address, device, *times)


async def approve(ctx: Context, identifier: str, user_code: str) -> DeviceDecided:
    """Let the device in as the caller. The edge has made sure that a page of ours asks.

    :raises PersonRequired: not a browser's session: a command line must not let in others.
    :raises UserCodeWrong: the device shows another code. :raises DeviceRequestOver: answered meanwhile, or too late.
    """
    user, own = await _browser_of(ctx)
    await limits.take(ctx, ANSWERS, f"{ctx.actor.user_id}")
    challenge, request = await _find(ctx, identifier)
    if challenge.subject != PENDING:
        raise _over()
    if not hmac.compare_digest(_plain_code(user_code).encode(), _plain_code(request.user_code).encode()):
        raise UserCodeWrong(
            "The device shows another code.", hint="Compare them again, or refuse the request.", field="userCode"
        )
    code = f"{identifier}.{secrets.token_urlsafe(32)}" if request.redirect_uri else ""
    asker = replace(ctx.actor, address=request.address, user_agent=request.user_agent)
    async with ctx.transaction() as tx:
        # Approving is no new proof of who somebody is: the device's is as old as the browser's.
        created = await sessions.open_session(
            ctx.acting_as(asker),
            user,
            kind=SessionKind.TOKENS,
            method=METHOD,
            authenticated_at=own.authenticated_at or own.created_at,
        )
        kept = msgspec.structs.replace(
            request, session_id=created.session.id, code_hash=rules.digest(code) if code else ""
        )
        sealed = _sealed(ctx, challenge.id, kept)
        settled = await store.challenges.settle(
            tx, challenge, subject=APPROVED, secret=sealed, user_id=user.id, now=ctx.now
        )
        if not settled:
            raise _over()
        shown = {"name": request.name, "address": request.address, "session": created.session.id}
        await audit.record(ctx, f"user:{user.id}", "device.approve", created.session.id, after=shown)
    return DeviceDecided(_answer(request.redirect_uri, {"code": code}))


async def deny(ctx: Context, identifier: str) -> DeviceDecided:
    """Refuse the device. :raises DeviceRequestOver: answered meanwhile, or too late."""
    user, _ = await _browser_of(ctx)
    await limits.take(ctx, ANSWERS, f"{ctx.actor.user_id}")
    challenge, request = await _find(ctx, identifier)
    if challenge.subject != PENDING:
        raise _over()
    async with ctx.transaction() as tx:
        sealed = _sealed(ctx, challenge.id, request)
        if not await store.challenges.settle(tx, challenge, subject=DENIED, secret=sealed, user_id=None, now=ctx.now):
            raise _over()
        shown = {"name": request.name, "address": request.address}
        await audit.record(ctx, f"user:{user.id}", "device.deny", challenge.id, after=shown)
    return DeviceDecided(_answer(request.redirect_uri, {"error": "access_denied"}))


async def poll(ctx: Context, identifier: str, poll_secret: str) -> DeviceTokens | None:
    """The tokens, once; `None` while nobody has answered.

    :raises DeviceProofWrong: another device's secret. :raises DeviceDenied: the person refused.
    :raises DeviceRequestOver: unknown, collected, or its time is over. :raises PollTooFast: sooner than the interval.
    """
    challenge, request = await _find(ctx, identifier)
    if not hmac.compare_digest(rules.digest(poll_secret).encode(), challenge.flow_hash.encode()):
        raise DeviceProofWrong("The secret is not that of the device that asked.")
    try:
        await limits.take(ctx, POLLS, challenge.id)  # after the proof: nobody else can slow a device down
    except TooOften as error:
        raise PollTooFast(
            "The device asks too often.", hint=f"Wait {error.retry_after_seconds} s.", retry_after_seconds=2
        ) from error
    if challenge.subject == DENIED:
        raise DeviceDenied("The person who was asked refused to let this device in.")
    return await _collect(ctx, challenge, request) if challenge.subject == APPROVED else None


async def exchange(ctx: Context, code: str, code_verifier: str) -> DeviceTokens:
    """The tokens for the code that the browser brought to the device's loopback address.

    :raises DeviceProofWrong: the verifier or the code does not fit; after `EXCHANGES_MAX` of these no code will.
    :raises DeviceRequestOver: unknown, collected, or its time is over.
    """
    await limits.take(ctx, EXCHANGES, ctx.actor.network)
    identifier, _, _ = code.partition(".")
    challenge, request = await _find(ctx, identifier)
    async with ctx.transaction() as tx:
        counted = await store.challenges.attempt(tx, METHOD, ctx.now, flow_hash=None, lookup_hash=challenge.lookup_hash)
    if counted is None or challenge.subject != APPROVED or not request.code_hash:
        raise _over()
    fits = hmac.compare_digest(rules.digest(code).encode(), request.code_hash.encode())
    verified = pkce.fits(request.code_challenge, code_verifier)
    if not fits or not verified:
        raise DeviceProofWrong("The code and its verifier do not fit.")
    return await _collect(ctx, challenge, request)


async def _collect(ctx: Context, challenge: Challenge, request: _Request) -> DeviceTokens:
    """Tokens for the session, for exactly one caller."""
    async with ctx.transaction() as tx:
        if not await store.challenges.close(tx, challenge.id, ctx.now):
            raise _over()
        session = await store.sessions.session_by_id(tx, SessionId(request.session_id))
        if session is None:
            raise DeviceDenied("The session was ended before the device came.", hint="Run `af login` again.")
        user = (await store.users.users_by_id(tx, [session.user_id]))[session.user_id]
        owner = Actor(ActorKind.USER, user.id, address=ctx.actor.address, session_id=session.id)
        tokens = await sessions.issue_tokens(ctx.acting_as(owner), session)
    return DeviceTokens(user, session, tokens)


async def _browser_of(ctx: Context) -> tuple[User, Session]:
    """The person at the browser and its session."""
    user_id = await require_person(ctx)
    async with ctx.reading() as connection:
        session = None
        if ctx.actor.session_id is not None:
            session = await store.sessions.session_by_id(connection, ctx.actor.session_id)
        user = (await store.users.users_by_id(connection, [user_id])).get(user_id)
    if user is None or session is None or session.kind is not SessionKind.BROWSER:
        raise PersonRequired("A device is let in from a browser only.", hint="Open the address in a browser.")
    return user, session


async def _find(ctx: Context, identifier: str) -> tuple[Challenge, _Request]:
    if len(identifier) != _ID_LENGTH:
        raise _over()
    async with ctx.reading() as connection:
        challenge = await store.challenges.by_lookup(connection, METHOD, rules.digest(identifier), ctx.now)
    if challenge is None:
        raise _over()
    opened = ctx.get(seal.Sealer).open(challenge.secret, purpose=_purpose(challenge.id))
    return challenge, msgspec.json.decode(opened, type=_Request)


def _sealed(ctx: Context, challenge_id: ChallengeId, request: _Request) -> bytes:
    return ctx.get(seal.Sealer).seal(msgspec.json.encode(request), purpose=_purpose(challenge_id))


def _purpose(challenge_id: ChallengeId) -> str:
    return f"auth.device:{challenge_id}"


def _over() -> DeviceRequestOver:
    return DeviceRequestOver(
        "This sign-in of a device is unknown, was used, or its time is over.", hint="Start again: `af login`."
    )


def _new_user_code() -> str:
    letters = "".join(secrets.choice(USER_CODE_ALPHABET) for _ in range(USER_CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def _plain_code(text: str) -> str:
    """As people type it: whatever the case, with or without hyphen."""
    return re.sub(r"[\s-]", "", text[:40]).upper()


def _check_redirect(uri: str) -> None:
    """RFC 8252 §7.3: http to a loopback address by number, any port. (``localhost`` may be something else.)"""
    if (
        not redirects.is_own_machine(uri)
        or len(uri) > REDIRECT_LENGTH_MAX
        or not uri.isascii()
        or not uri.isprintable()
        or set(uri) & set(' #"<>\\')
    ):
        raise InvalidInput(
            "redirectUri must be a loopback address, like http://127.0.0.1:4321/done.", field="redirectUri"
        )


def _answer(redirect_uri: str, fields: dict[str, str]) -> str | None:
    if not redirect_uri:
        return None
    return redirects.with_values(redirect_uri, fields)


def _program(user_agent: str) -> str:
    """The user agent as one short line."""
    return "".join(letter if letter.isprintable() else "?" for letter in user_agent)[:120]
