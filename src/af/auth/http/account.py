"""The REST edge of one's own account: profile, ways in, second factor, export (paths as in the original)."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.errors import InvalidClaim
from af.auth.http.sign_in import (
    begun_response,
    claim,
    finished_response,
    flow_of,
    shown_method,
    shown_user,
)
from af.auth.models import Purpose
from af.core.web import NO_STORE, context, json_body, json_response

BODY_BYTES_MAX = 64 << 10
Body = dict[str, Any]


class ProfileBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    display_name: str | None = None
    avatar_url: str | None = None


class CodeBody(msgspec.Struct, forbid_unknown_fields=True):
    code: str


async def show(request: Request) -> Response:
    """``GET /account``: ``{"user": {…}}``."""
    ctx = context(request)
    await auth.require_person(ctx, may_be_leaving=True)
    return json_response({"user": shown_user(await auth.person(ctx))}, headers=NO_STORE)


async def change(request: Request) -> Response:
    """``PATCH /account`` ``{"displayName"?, "avatarUrl"?}``: ``{"user": {…}}``."""
    given = await json_body(request, ProfileBody, BODY_BYTES_MAX)
    user = await auth.profile.update_profile(
        context(request), display_name=given.display_name, avatar_url=given.avatar_url
    )
    return json_response({"user": shown_user(user)}, headers=NO_STORE)


async def export(request: Request) -> Response:
    """``GET /account/export``: everything about the caller as one JSON document, to keep."""
    document = await auth.profile.export(context(request))
    disposition = {"Content-Disposition": 'attachment; filename="account.json"'}
    return json_response(document, headers={**NO_STORE, **disposition})


async def restore(request: Request) -> Response:
    """``POST /account/restore``: the account is kept after all."""
    user = await auth.profile.restore(context(request))
    return json_response({"success": True, "user": shown_user(user)}, headers=NO_STORE)


# --- ways in --------------------------------------------------------------------------------------------------------


async def list_methods(request: Request) -> Response:
    """``GET /account/methods``: ``{"methods": […]}``."""
    found = await auth.profile.methods(context(request))
    return json_response({"methods": [shown_method(each) for each in found]}, headers=NO_STORE)


async def remove_method(request: Request) -> Response:
    """``DELETE /account/methods/{id}``; never the last one."""
    await auth.profile.remove_method(context(request), request.path_params["id"])
    return json_response({"success": True}, headers=NO_STORE)


async def set_primary(request: Request) -> Response:
    """``POST /account/methods/{id}/set-primary``; an e-mail method's address becomes the account's."""
    chosen = await auth.profile.set_primary_method(context(request), request.path_params["id"])
    return json_response({"success": True, "method": shown_method(chosen)}, headers=NO_STORE)


async def begin_link(request: Request) -> Response:
    """``POST /account/methods/link`` ``{"method", …the method's claim}``: what must be answered, and the ``flow``."""
    ctx = context(request)
    given = await json_body(request, Body, BODY_BYTES_MAX)
    method = _method(given)
    begun = await auth.sign_in.begin(ctx, method, claim(given), purpose=Purpose.LINK)
    return begun_response(ctx, begun, None)


async def finish_link(request: Request) -> Response:
    """``POST /account/methods/link/verify`` ``{"method", "flow"?, …the answer}``: the added ``{"method": {…}}``."""
    ctx = context(request)
    given = await json_body(request, Body, BODY_BYTES_MAX)
    method = _method(given)
    flow = flow_of(request, given)
    given.pop("flow", None)
    # Never a sign-in: a form of another site could sign a visitor in to its author's account here.
    done = await auth.sign_in.finish(ctx, method, given, flow=flow, purpose=Purpose.LINK)
    return finished_response(ctx, done)


def _method(given: Body) -> str:
    method = given.pop("method", None)
    if not isinstance(method, str):
        raise InvalidClaim("Say which method.", field="method")
    return method


# --- second factor --------------------------------------------------------------------------------------------------


async def factor_status(request: Request) -> Response:
    """``GET /account/totp``: ``{"enabled", "recoveryCodesLeft"}``."""
    status = await auth.second_factor.status(context(request))
    answer = {"enabled": status.enabled, "recoveryCodesLeft": status.recovery_codes_left}
    return json_response(answer, headers=NO_STORE)


async def begin_totp(request: Request) -> Response:
    """``POST /account/totp``: ``{"secret", "uri"}`` for an authenticator app; it counts once it is confirmed."""
    enrolment = await auth.second_factor.begin(context(request))
    return json_response({"secret": enrolment.secret, "uri": enrolment.uri}, headers=NO_STORE)


async def confirm_totp(request: Request) -> Response:
    """``POST /account/totp/confirm`` ``{"code"}``: ``{"success", "recoveryCodes": […]}``, shown this once."""
    given = await json_body(request, CodeBody, BODY_BYTES_MAX)
    codes = await auth.second_factor.confirm(context(request), given.code)
    return json_response({"success": True, "recoveryCodes": codes}, headers=NO_STORE)


async def disable_totp(request: Request) -> Response:
    """``DELETE /account/totp`` ``{"code"}``, of the app or a recovery code."""
    given = await json_body(request, CodeBody, BODY_BYTES_MAX)
    await auth.second_factor.disable(context(request), given.code)
    return json_response({"success": True}, headers=NO_STORE)


async def renew_recovery_codes(request: Request) -> Response:
    """``POST /account/recovery-codes``: ``{"recoveryCodes": […]}``; the earlier ones work no more."""
    codes = await auth.second_factor.renew_recovery_codes(context(request))
    return json_response({"success": True, "recoveryCodes": codes}, headers=NO_STORE)


routes = [
    Route("/account", show, methods=["GET"]),
    Route("/account", change, methods=["PATCH"]),
    Route("/account/export", export, methods=["GET"]),
    Route("/account/restore", restore, methods=["POST"]),
    Route("/account/methods", list_methods, methods=["GET"]),
    Route("/account/methods/link", begin_link, methods=["POST"]),
    Route("/account/methods/link/verify", finish_link, methods=["POST"]),
    Route("/account/methods/{id}", remove_method, methods=["DELETE"]),
    Route("/account/methods/{id}/set-primary", set_primary, methods=["POST"]),
    Route("/account/totp", factor_status, methods=["GET"]),
    Route("/account/totp", begin_totp, methods=["POST"]),
    Route("/account/totp", disable_totp, methods=["DELETE"]),
    Route("/account/totp/confirm", confirm_totp, methods=["POST"]),
    Route("/account/recovery-codes", renew_recovery_codes, methods=["POST"]),
]
