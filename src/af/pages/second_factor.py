"""The second factor: asked for at a sign-in, set up in the settings, with recovery codes that are shown once."""

from __future__ import annotations

import segno
from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.auth.cookies import FLOW_COOKIE
from af.auth.errors import ChallengeOver, WrongProof
from af.auth.models import SignedIn
from af.core.errors import Error
from af.pages.finish import finished
from af.pages.frame import Visit, go, page, render
from af.pages.paths import safe_return
from af.pages.settings import Question, asks_first, routes_of, settings_page

ADDRESS = "/settings/security"


async def ask(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /login/second-factor?return_to=``"""
    target = safe_return(visit.query("return_to") or visit.field("return_to"))
    status = 200 if problem is None else problem.http_status
    over = isinstance(problem, ChallengeOver) or not visit.request.cookies.get(FLOW_COOKIE)
    return render(visit, "second_factor.html", status=status, problem=problem, return_to=target, over=over)


async def answer(visit: Visit) -> Response:
    """``POST /login/second-factor`` with ``code``."""
    flow = visit.request.cookies.get(FLOW_COOKIE)
    try:
        done: SignedIn = await auth.second_factor.finish(visit.ctx, visit.field("code"), flow=flow)
    except Error as error:
        if error.http_status >= 500:
            raise
        return await ask(visit, problem=error)
    return await finished(visit, done, return_to=safe_return(visit.field("return_to")))


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /settings/security``"""
    return await _settings(visit, problem=problem)


async def begin(visit: Visit) -> Response:
    """A new secret for an authenticator app; it counts when a code of it comes back."""
    return await _settings(visit, enrolment=await auth.second_factor.begin(visit.ctx))


async def confirm(visit: Visit) -> Response:
    """``code``; the secret is still known to the person, so a wrong code shows the page with ``secret`` and ``uri``."""
    enrolment = auth.second_factor.Enrolment(visit.field("secret")[:64], visit.field("uri")[:500])
    try:
        codes = await auth.second_factor.confirm(visit.ctx, visit.field("code"))
    except WrongProof as error:
        return await _settings(visit, problem=error, enrolment=enrolment)
    return await _settings(visit, codes=codes)


async def disable(visit: Visit) -> Response:
    await auth.second_factor.disable(visit.ctx, visit.field("code"))
    return go(ADDRESS, done="factor_off")


async def ask_to_renew(visit: Visit) -> Question:
    await auth.require_recent(visit.ctx)
    text = "The recovery codes that you have kept work no more. You get ten new ones, shown once."
    return Question("Replace the recovery codes?", text, "Make new ones")


async def renew(visit: Visit) -> Response:
    return await _settings(visit, codes=await auth.second_factor.renew_recovery_codes(visit.ctx))


async def _settings(
    visit: Visit,
    *,
    problem: Error | None = None,
    enrolment: auth.second_factor.Enrolment | None = None,
    codes: list[str] | None = None,
) -> Response:
    factor = await auth.second_factor.status(visit.ctx)
    is_app = enrolment is not None and enrolment.uri.startswith("otpauth://")
    picture = segno.make(enrolment.uri, error="m", micro=False).svg_data_uri(scale=4) if enrolment and is_app else ""
    return settings_page(
        visit,
        "security.html",
        problem=problem,
        factor=factor,
        enrolment=enrolment,
        picture=picture,
        codes=codes,
    )


routes = [
    Route("/login/second-factor", page(ask, signed_in=False), methods=["GET"]),
    Route("/login/second-factor", page(answer, signed_in=False), methods=["POST"]),
    *routes_of(
        ADDRESS,
        show,
        {"begin": begin, "confirm": confirm, "disable": disable, "renew": asks_first(ask_to_renew, renew)},
    ),
]
