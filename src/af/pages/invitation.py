"""An invitation to an organisation or project: what its link shows, and accepting it."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from af import projects
from af.core.errors import Error
from af.pages.frame import Visit, go, page, render, to_sign_in

_SECRET_LENGTH_MAX = 200


async def show(visit: Visit) -> Response:
    """``GET /invitations/{secret}``: who invites to what; works once, for the address that it was sent to."""
    return await _shown(visit)


async def accept(visit: Visit) -> Response:
    """``POST /invitations/{secret}``"""
    if visit.user is None:
        return to_sign_in(visit)
    try:
        await projects.accept_invitation(visit.ctx, _secret(visit))
    except Error as error:
        if error.http_status >= 500:
            raise
        return await _shown(visit, problem=error)
    return go("/settings/team", done="joined")


async def _shown(visit: Visit, *, problem: Error | None = None) -> Response:
    invitation = await projects.read_invitation(visit.ctx, _secret(visit))
    status = 200 if problem is None else problem.http_status
    return render(visit, "invitation.html", status=status, problem=problem, invitation=invitation)


def _secret(visit: Visit) -> str:
    return visit.part("secret")[:_SECRET_LENGTH_MAX]


routes = [
    Route("/invitations/{secret}", page(show, signed_in=False), methods=["GET"]),
    Route("/invitations/{secret}", page(accept, signed_in=False), methods=["POST"]),
]
