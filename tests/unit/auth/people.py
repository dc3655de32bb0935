"""People for tests of identity: visitors without an account, and persons who have just signed in."""

from __future__ import annotations

from dataclasses import replace

from af.auth import sign_in
from af.auth.models import SessionKind, SignedIn
from af.core.context import ANONYMOUS, Actor, ActorKind, Context, Platform
from tests.unit.auth.mailbox import last_letter

ADA = "ada@example.org"


def visitor(platform: Platform, address: str = "203.0.113.7") -> Context:
    """Somebody without credentials."""
    return platform.context(replace(ANONYMOUS, address=address, user_agent="Mozilla/5.0 (X11; Linux) Firefox/140"))


async def by_code(platform: Platform, email: str = ADA, kind: SessionKind = SessionKind.BROWSER) -> SignedIn:
    """A whole sign-in by the code of the message."""
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": email})
    code = (await last_letter(platform)).code
    done = await sign_in.finish(ctx, "email", {"code": code}, flow=begun.flow, kind=kind)
    assert isinstance(done, SignedIn)
    return done


def person(platform: Platform, done: SignedIn) -> Context:
    """Whoever signed in, as their next request comes."""
    actor = Actor(
        ActorKind.USER,
        user_id=done.user.id,
        session_id=done.session.id,
        authenticated_at=done.session.authenticated_at,
        address="203.0.113.7",
    )
    return platform.context(actor)
