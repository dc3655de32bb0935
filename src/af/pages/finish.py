"""What follows a proof: the session cookie and the way on, a second factor, or a way in that was added."""

from __future__ import annotations

from starlette.responses import Response

from af import auth
from af.auth import cookies
from af.auth.models import Linked, SecondFactorNeeded, SignedIn
from af.pages import asked
from af.pages.frame import LEAVING, Visit, go
from af.pages.paths import safe_return


async def finished(visit: Visit, done: SignedIn | SecondFactorNeeded | Linked, *, return_to: str = "") -> Response:
    """The answer of a browser that has proven something. ``return_to``: a page of ours, if the sign-in names none."""
    target = safe_return(done.return_to) or return_to
    if isinstance(done, SecondFactorNeeded):
        response: Response = go("/login/second-factor")
        cookies.set_flow(response, done.flow, done.expires_in_seconds)
        return response
    response = go(target or ("/settings/methods?done=method_added" if isinstance(done, Linked) else "/"))
    if isinstance(done, SignedIn):
        if done.user.deletes_at is not None:
            response = go(LEAVING)
        assert done.cookie is not None, "pages ask for a browser's session"
        await _replace_session(visit)
        cookies.set_session(visit.ctx, response, done.cookie)
    cookies.forget(response, cookies.FLOW_COOKIE)
    asked.forget(response)
    return response


async def _replace_session(visit: Visit) -> None:
    """A session that this browser had ends with the new one: nobody stays signed in behind a cookie they lost."""
    before = visit.request.cookies.get(auth.COOKIE)
    if before and visit.user is not None:
        await auth.end_session(visit.ctx, before)
