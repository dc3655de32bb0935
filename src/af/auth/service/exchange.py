"""Handing a sign-in on to another app: a one-time code in the browser's address, for which the app gets tokens.

Tokens never travel in addresses (the original's first version put them there). Three steps, two rows of ``challenges``:
`prepare` keeps where the browser wants to go under a ticket, before the provider is visited; when the person is signed
in here, `leave` trades the ticket for a code; the app trades the code for tokens with `redeem`. What is stored is no
credential: a session of the app's own is opened when the code comes back.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from af.auth import pkce, redirects, store
from af.auth.errors import ChallengeOver, RedirectRefused, WrongProof
from af.auth.models import SessionKind, SignedIn
from af.auth.service import challenges, sign_in
from af.auth.service.users import require_person
from af.core import limits
from af.core.context import Context
from af.core.ids import UserId
from af.core.limits import Limit

TICKET, CODE = "exchange-ticket", "exchange"
TICKET_LIFE = timedelta(minutes=30)
"""A provider's page and a second factor may come between."""
CODE_LIFE = timedelta(seconds=60)
CONTINUE_PATH = "/auth/oauth/continue"
EXCHANGES = Limit("codes of sign-ins from this address", 60, timedelta(minutes=15))
_SECRET_BYTES = 32
_SECRET_LENGTH = 43


def allowed_origins(ctx: Context) -> frozenset[str]:
    """The web apps that may sign people in here."""
    return frozenset(filter(None, ctx.settings.allowed_redirect_origins.split(",")))


async def prepare(ctx: Context, redirect_url: str, *, code_challenge: str = "") -> str:
    """The path of ours to return to after the sign-in; it leads on to ``redirect_url``. Anyone may ask.

    :raises RedirectRefused: the address is not one that may get a code, or the challenge is none.
    """
    if code_challenge and not pkce.is_challenge(code_challenge):
        raise RedirectRefused("code_challenge is the S256 of RFC 7636: 43 characters.", field="code_challenge")
    target = redirects.check_target(redirect_url, allowed=allowed_origins(ctx), code_challenge=code_challenge)
    secret = {"redirect": target, "challenge": code_challenge}
    ticket = await _keep(ctx, TICKET, None, secret, TICKET_LIFE)
    return f"{CONTINUE_PATH}?{urlencode({'ticket': ticket})}"


async def leave(ctx: Context, ticket: str) -> str:
    """The other app's address with a code for the person who has just signed in.

    They must have done so after the ticket was made: a page that makes a browser follow an old ticket gets nothing.
    :raises ChallengeOver: the ticket is unknown or used, or the sign-in is older. :raises PersonRequired: nobody.
    """
    user_id = await require_person(ctx)
    challenge, secret = await challenges.take(ctx, TICKET, flow=None, lookup=_shaped(ticket, "ticket"), bound=False)
    proven_at, session_id = ctx.actor.authenticated_at, ctx.actor.session_id
    if session_id is None or proven_at is None or proven_at < challenge.created_at:
        raise ChallengeOver("This sign-in is over.", hint="Begin again.")
    async with ctx.transaction() as tx:
        await challenges.close(ctx, challenge)
        session = await store.sessions.session_by_id(tx, session_id)
        if session is None:
            raise ChallengeOver("This sign-in is over.", hint="Begin again.")
        kept = {"method": session.method, "challenge": secret["challenge"]}
        code = await _keep(ctx, CODE, user_id, kept, CODE_LIFE)
    return redirects.with_values(str(secret["redirect"]), {"code": code})


async def redeem(ctx: Context, code: str, code_verifier: str = "") -> SignedIn:
    """Tokens for a code, once, within 60 seconds; a wrong verifier uses it up, too.

    :raises ChallengeOver: unknown, used or too late. :raises WrongProof: the verifier does not fit the challenge, is
        missing, or there was no challenge (RFC 9700 §4.8.2: no downgrade).
    """
    await limits.take(ctx, EXCHANGES, ctx.actor.network)
    challenge, secret = await challenges.take(ctx, CODE, flow=None, lookup=_shaped(code, "code"), bound=False)
    asked = str(secret["challenge"])
    fits = pkce.fits(asked, code_verifier) if asked else not code_verifier
    if not fits:
        raise WrongProof("The code and its verifier do not fit.", field="codeVerifier", hint="Begin again.")
    async with ctx.transaction() as tx:
        await challenges.close(ctx, challenge)
        assert challenge.user_id is not None, "a code is a person's"
        user = (await store.users.users_by_id(tx, [challenge.user_id]))[challenge.user_id]
        return await sign_in.signed_in(ctx, user, str(secret["method"]), SessionKind.TOKENS)


async def _keep(ctx: Context, method: str, user_id: UserId | None, secret: Mapping[str, Any], life: timedelta) -> str:
    text = secrets.token_urlsafe(_SECRET_BYTES)
    nobody = secrets.token_urlsafe(_SECRET_BYTES)  # no browser's: found by its text alone
    await challenges.put(ctx, method, secret, flow=nobody, lookup=text, life=life, attempts_max=1, user_id=user_id)
    return text


def _shaped(text: str, what: str) -> str:
    if len(text) != _SECRET_LENGTH:
        raise ChallengeOver(f"This {what} is not complete, or none of ours.", hint="Begin again.")
    return text
