"""Leaving the platform. Here and not in identity, because projects know what must not stay without an owner."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af import auth
from af.core.web import NO_STORE, context, json_body, json_response
from af.projects import service as projects

BODY_BYTES_MAX = 4096


class LeaveBody(msgspec.Struct, forbid_unknown_fields=True):
    confirm: str


async def delete(request: Request) -> Response:
    """``DELETE /account`` ``{"confirm": the user name}``: the account ends after AF_ACCOUNT_GRACE_DAYS, unless
    ``POST /account/restore`` comes first. ``{"success", "user"}`` with ``deletesAt``."""
    given = await json_body(request, LeaveBody, BODY_BYTES_MAX)
    user = await projects.delete_account(context(request), given.confirm)
    return json_response({"success": True, "user": auth.shown_user(user)}, headers=NO_STORE)


routes = [Route("/account", delete, methods=["DELETE"])]
