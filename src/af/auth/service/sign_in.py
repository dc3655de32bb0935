"""Signing in, by every method alike: a claim, a challenge, an answer, a session.

`begin` puts a question and keeps what the answer is compared with sealed in a challenge row; `finish` counts the
attempt, lets the method's backend judge the answer (which may call a provider: outside any transaction), closes the
challenge and opens the session. Signing up and signing in are one flow: an unknown subject is a new account.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from af.auth import rules, store
from af.auth.backends import Asked, Backend, Identity, Methods, Proof
from af.auth.devices import place_of
from af.auth.errors import ChallengeOver, MethodNotConfigured, MethodUnknown, NotSignedInToLink
from af.auth.models import (
    Begun,
    Challenge,
    Linked,
    LoginMethod,
    Purpose,
    SecondFactorNeeded,
    SessionKind,
    SignedIn,
    User,
)
from af.auth.service import accounts, challenges, sessions
from af.auth.service.users import person, require_recent
from af.core import limits
from af.core.context import Context
from af.core.limits import Limit
from af.core.messages import outbox

SECOND_FACTOR = "second-factor"
SECOND_FACTOR_LIFE = timedelta(minutes=10)
SECOND_FACTOR_ATTEMPTS = 5
FLOW_BYTES = 32

_QUARTER = timedelta(minutes=15)
BY_ADDRESS = Limit("sign-ins from this address", 30, _QUARTER)
QUIET_BY_ADDRESS = Limit("sign-ins from this address", 300, _QUARTER)
"""Of ways that send nothing: a page asks for a passkey each time that it is opened, and offices share an address."""
BY_SUBJECT = Limit("messages to this account", 5, _QUARTER)
ANSWERS_BY_ADDRESS = Limit("answers from this address", 60, _QUARTER)


async def methods(ctx: Context) -> list[Backend]:
    """The ways to sign in to this platform, in the order in which they are shown."""
    return list(ctx.get(Methods).backends.values())


async def begin(
    ctx: Context, method: str, claim: Mapping[str, str], *, purpose: Purpose = Purpose.SIGN_IN, return_to: str = ""
) -> Begun:
    """Put the question. `Purpose.LINK` is for the person who is signed in and adds a way in to their account.

    :raises MethodUnknown, MethodNotConfigured: this platform does not have it. :raises InvalidClaim: no possible form.
    :raises TooOften: from this address, or to this account. :raises ReauthenticationRequired: to link, and the sign-in
        is not recent.
    """
    backend = _backend(ctx, method)
    user = None
    if purpose is Purpose.LINK:
        await require_recent(ctx)
        user = await person(ctx)
    opening = await backend.begin(await _asked(ctx, claim, purpose, user))
    by_address = QUIET_BY_ADDRESS if opening.message is None else BY_ADDRESS
    await limits.take(ctx, by_address, f"{method}:{ctx.actor.network}")
    if opening.message is not None:
        outbox.require_channel(ctx, opening.message.channel)
        await limits.take(ctx, BY_SUBJECT, f"{method}:{opening.subject}")
    flow = secrets.token_urlsafe(FLOW_BYTES)
    async with ctx.transaction():
        await challenges.put(
            ctx,
            method,
            opening.secret,
            flow=flow,
            lookup=opening.lookup,
            life=backend.life,
            attempts_max=backend.attempts_max,
            purpose=purpose,
            user_id=user.id if user else None,
            subject=rules.digest(opening.subject),
            return_to=return_to,
        )
        if opening.message is not None:
            await outbox.enqueue(ctx, opening.message)
    return Begun(flow, opening.shown, int(backend.life.total_seconds()))


async def finish(
    ctx: Context,
    method: str,
    values: Mapping[str, Any],
    *,
    flow: str | None,
    lookup: str | None = None,
    kind: SessionKind = SessionKind.BROWSER,
    purpose: Purpose | None = None,
) -> SignedIn | SecondFactorNeeded | Linked:
    """Judge the answer. ``flow`` is the secret of the browser that asked; ``lookup`` finds the challenge of methods
    whose answer names it (a state, a nonce, the secret of a link). ``purpose``: a question put for another one is over.

    :raises ChallengeOver: there is no such question any more, for this browser. :raises WrongProof: a wrong answer.
    :raises MethodTaken, AccountExists: it is right, and belongs to another account.
    """
    backend = _backend(ctx, method)
    await limits.take(ctx, ANSWERS_BY_ADDRESS, f"{method}:{ctx.actor.network}")
    challenge, secret = await challenges.take(ctx, method, flow=flow, lookup=lookup, bound=backend.bound)
    if purpose not in (None, challenge.purpose):
        raise ChallengeOver("This was begun for something else.", hint="Begin again.")
    if challenge.purpose is Purpose.LINK and challenge.user_id != ctx.actor.user_id:
        raise NotSignedInToLink("Another account began to add this way in.", hint="Sign in to it, and begin again.")

    async def known(subject: str) -> LoginMethod | None:
        async with ctx.reading() as connection:
            return await store.methods.by_subject(connection, method, subject)

    identity = await backend.finish(secret, Proof(values, ctx.now, own_origin(ctx), known))
    if challenge.purpose is Purpose.LINK:
        return await _link(ctx, backend, challenge, identity)
    return await _sign_in(ctx, backend, challenge, identity, kind)


async def _link(ctx: Context, backend: Backend, challenge: Challenge, identity: Identity) -> Linked:
    user_id = await require_recent(ctx)
    async with ctx.transaction() as tx:
        await challenges.close(ctx, challenge)
        user = (await store.users.users_by_id(tx, [user_id]))[user_id]
        added = await accounts.add_method(ctx, user, backend, identity)
    return Linked(added, challenge.return_to)


async def _sign_in(
    ctx: Context, backend: Backend, challenge: Challenge, identity: Identity, kind: SessionKind
) -> SignedIn | SecondFactorNeeded:
    async with ctx.transaction() as tx:
        await challenges.close(ctx, challenge)
        user, is_new = await accounts.identified(ctx, backend, identity)
        if not identity.strong and await store.factors.is_enabled(tx, user.id):
            return await _ask_second_factor(ctx, user, backend.name, challenge.return_to)
        return await signed_in(ctx, user, backend.name, kind, is_new=is_new, return_to=challenge.return_to)


async def signed_in(
    ctx: Context, user: User, method: str, kind: SessionKind, *, is_new: bool = False, return_to: str = ""
) -> SignedIn:
    """Everything is proven: a new session, as a cookie or as tokens. In the caller's transaction."""
    async with ctx.transaction():
        created = await sessions.open_session(ctx, user, kind=kind, method=method)
        if kind is SessionKind.BROWSER:
            return SignedIn(user, created.session, created.text, None, is_new, return_to)
        tokens = await sessions.issue_tokens(ctx, created.session)
    return SignedIn(user, created.session, None, tokens, is_new, return_to)


async def _ask_second_factor(ctx: Context, user: User, method: str, return_to: str) -> SecondFactorNeeded:
    flow = secrets.token_urlsafe(FLOW_BYTES)
    await challenges.put(
        ctx,
        SECOND_FACTOR,
        {"method": method},
        flow=flow,
        life=SECOND_FACTOR_LIFE,
        attempts_max=SECOND_FACTOR_ATTEMPTS,
        purpose=Purpose.SECOND_FACTOR,
        user_id=user.id,
        subject=user.id,
        return_to=return_to,
    )
    return SecondFactorNeeded(flow, int(SECOND_FACTOR_LIFE.total_seconds()), return_to)


def own_origin(ctx: Context) -> str:
    """Where our pages are: what every proof must name. Never taken from the request."""
    return ctx.platform.url(ctx.settings.domain)


def _backend(ctx: Context, method: str) -> Backend:
    known = ctx.get(Methods)
    found = known.backends.get(method)
    if found is not None:
        return found
    if method in known.absent:
        raise MethodNotConfigured(
            f"Signing in by {method} is not configured on this platform.", hint=f"Set {known.absent[method]}."
        )
    raise MethodUnknown(f"There is no way to sign in called {method[:40]!r}.", field="method")


async def _asked(ctx: Context, claim: Mapping[str, str], purpose: Purpose, user: User | None) -> Asked:
    asked = Asked(claim, purpose, ctx.now, own_origin(ctx), user, place=place_of(ctx.actor))
    if user is None:
        return asked
    async with ctx.reading() as connection:
        return replace(asked, methods=tuple(await store.methods.of_user(connection, user.id)))
