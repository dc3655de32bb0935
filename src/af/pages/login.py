"""Signing in: which ways there are, and the e-mail or telephone that gets a code."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.auth import errors
from af.auth.cookies import set_flow
from af.auth.models import Purpose
from af.core.errors import Error
from af.core.messages import Channel
from af.core.messages.transports import Transports
from af.pages.asked import AskedOf, remember
from af.pages.frame import Visit, go, page, render
from af.pages.paths import safe_return

CODED = {"email": "email", "sms": "phone"}
"""Ways that send a code: the method, and the name of its field."""
_REFUSALS = (
    errors.AccountExists,
    errors.ChallengeOver,
    errors.ConsentRefused,
    errors.IssuerFailed,
    errors.MethodNotConfigured,
    errors.MethodTaken,
    errors.MethodUnknown,
    errors.NotSignedInToLink,
    errors.ReauthenticationRequired,
    errors.TokenNotTrusted,
    errors.WrongProof,
)
WALLETS = ("ethereum", "solana")


async def show(visit: Visit) -> Response:
    """``GET /login?return_to=&again=``: all ways in. Who is signed in already goes on, unless ``again`` asks for a
    fresh proof."""
    target = safe_return(visit.query("return_to"))
    refusal = _refusal(visit.query("error"))
    if visit.user is not None and visit.query("again") != "1" and refusal is None:
        return go(target or "/")
    return await _ways(visit, target, problem=refusal)


def _refusal(code: str) -> Error | None:
    """What went wrong on the way over another site, by the code in ``?error=``. The words are ours: an address cannot
    put its own on the page."""
    found = next((kind for kind in _REFUSALS if kind.code == code), None)
    return None if found is None else found(found.explain)


async def ask(visit: Visit) -> Response:
    """``POST /login`` with ``method`` and the address: sends the code, then asks for it."""
    target = safe_return(visit.field("return_to"))
    method = visit.field("method")
    address = visit.field(CODED.get(method, "email"))
    try:
        return await send_code(visit, method if method in CODED else "email", address, return_to=target)
    except Error as error:
        if error.http_status >= 500:
            raise
        return await _ways(visit, target, problem=error, entered={method: address})


async def send_code(
    visit: Visit, method: str, address: str, *, return_to: str, purpose: Purpose = Purpose.SIGN_IN
) -> Response:
    """Begin a sign-in, or adding a way in, by a code that is sent; on to the page that asks for it."""
    begun = await auth.sign_in.begin(visit.ctx, method, {CODED[method]: address}, purpose=purpose, return_to=return_to)
    shown = str(begun.shown.get(CODED[method], address))
    response = go("/login/code")
    set_flow(response, begun.flow, begun.expires_in_seconds)
    remember(response, AskedOf(method, shown, return_to, purpose), begun.expires_in_seconds)
    return response


async def _ways(
    visit: Visit, target: str, *, problem: Error | None = None, entered: dict[str, str] | None = None
) -> Response:
    found = await auth.sign_in.methods(visit.ctx)
    names = {each.name for each in found}
    return render(
        visit,
        "login.html",
        status=200 if problem is None else problem.http_status,
        problem=problem,
        entered=entered or {},
        methods=names,
        scripted=bool(names & {*WALLETS, "passkey"}),
        providers=[_provider(each, target) for each in found if is_provider(each)],
        return_to=target,
        again=visit.query("again") == "1",
        shows_messages=shows_messages(visit),
    )


def is_provider(backend: auth.Backend) -> bool:
    """Whether the way leads over somebody else's site (OAuth, OpenID Connect)."""
    return backend.name not in (*CODED, *WALLETS, "passkey")


def _provider(backend: auth.Backend, target: str) -> dict[str, str]:
    query = f"?{urlencode({'return_to': target})}" if target else ""
    return {"name": backend.name, "title": backend.title, "address": f"/auth/oauth/{backend.name}{query}"}


def shows_messages(visit: Visit) -> bool:
    """Whether e-mail stays in the platform's own outbox because no mail server is configured."""
    return not visit.ctx.get(Transports).sends(Channel.EMAIL)


routes = [
    Route("/login", page(show, signed_in=False), methods=["GET"]),
    Route("/login", page(ask, signed_in=False), methods=["POST"]),
]
