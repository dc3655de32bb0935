"""The second step of signing in: the code that was sent, or the link beside it."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.auth.cookies import FLOW_COOKIE
from af.auth.errors import ChallengeOver
from af.auth.models import Purpose
from af.core.errors import Error
from af.pages.asked import recall
from af.pages.finish import finished
from af.pages.frame import Visit, go, page, render
from af.pages.login import send_code, shows_messages

_LINK_LENGTH_MAX = 200


async def show(visit: Visit) -> Response:
    """``GET /login/code``: the field for the code that was sent."""
    return _ask(visit)


async def answer(visit: Visit) -> Response:
    """``POST /login/code`` with ``code``; or with ``again``, for a new message."""
    asked = recall(visit)
    if asked is None:
        return go("/login")
    try:
        if visit.field("again"):
            return await send_code(visit, asked.method, asked.address, return_to=asked.return_to, purpose=asked.purpose)
        values = {"code": visit.field("code")}
        done = await auth.sign_in.finish(visit.ctx, asked.method, values, flow=_flow(visit))
    except Error as error:
        if error.http_status >= 500:
            raise
        return _ask(visit, problem=error)
    return await finished(visit, done)


async def show_link(visit: Visit) -> Response:
    """``GET /auth/email/link?token=``: a page that posts the link's secret, so that programs that fetch links ahead of
    their reader use nothing up. In another browser than the one that asked, it says what to do."""
    token = visit.query("token")[:_LINK_LENGTH_MAX]
    return render(visit, "email_link.html", token=token if _flow(visit) else "", other_browser=not _flow(visit))


async def use_link(visit: Visit) -> Response:
    """``POST /auth/email/link`` with ``token``."""
    token = visit.field("token")[:_LINK_LENGTH_MAX]
    try:
        done = await auth.sign_in.finish(visit.ctx, "email", {"token": token}, flow=_flow(visit), lookup=token)
    except Error as error:
        if error.http_status >= 500:
            raise
        status = error.http_status
        return render(visit, "email_link.html", status=status, problem=error, token="", other_browser=False)
    return await finished(visit, done)


def _ask(visit: Visit, *, problem: Error | None = None) -> Response:
    asked = recall(visit)
    if asked is None:
        return go("/login")
    return render(
        visit,
        "code.html",
        status=200 if problem is None else problem.http_status,
        problem=problem,
        asked=asked,
        adds=asked.purpose is Purpose.LINK,
        over=isinstance(problem, ChallengeOver),
        shows_messages=shows_messages(visit),
    )


def _flow(visit: Visit) -> str | None:
    return visit.request.cookies.get(FLOW_COOKIE)


routes = [
    Route("/login/code", page(show, signed_in=False), methods=["GET"]),
    Route("/login/code", page(answer, signed_in=False), methods=["POST"]),
    Route("/auth/email/link", page(show_link, signed_in=False), methods=["GET"]),
    Route("/auth/email/link", page(use_link, signed_in=False), methods=["POST"]),
]
