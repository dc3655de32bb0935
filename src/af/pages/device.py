"""Letting a device in: ``af login`` shows a code and opens this page, where a person compares and decides."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.auth.errors import UserCodeWrong
from af.core.errors import Error
from af.pages.frame import Visit, page, render


async def show(visit: Visit, *, problem: Error | None = None) -> Response:
    """``GET /login/{id}``: who asks, and from where. :raises DeviceRequestOver: nothing waits."""
    pending = await auth.device.pending(visit.ctx, visit.part("id"))
    return render(
        visit,
        "device.html",
        status=200 if problem is None else problem.http_status,
        problem=problem,
        pending=pending,
        same_address=pending.address == visit.ctx.actor.address,
    )


async def decide(visit: Visit) -> Response:
    """``POST /login/{id}`` with ``decision`` and, to approve, the ``user_code`` that the device shows."""
    approves = visit.field("decision") == "approve"
    try:
        if approves:
            decided = await auth.device.approve(visit.ctx, visit.part("id"), visit.field("user_code"))
        else:
            decided = await auth.device.deny(visit.ctx, visit.part("id"))
    except UserCodeWrong as error:
        return await show(visit, problem=error)
    target = decided.redirect_to or ""
    # The service lets through loopback addresses only; a page must not depend on that alone to be no open redirect.
    target = target if auth.redirects.is_own_machine(target) else ""
    return render(visit, "device_done.html", approved=approves, target=target)


routes = [
    Route("/login/{id}", page(show), methods=["GET"]),
    Route("/login/{id}", page(decide), methods=["POST"]),
]
