"""The REST edge of pipelines: the token exchange of RFC 8693, as OAuth clients know it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from af.auth import service as auth
from af.auth.errors import InvalidGrant
from af.core.web import NO_STORE, context, form_body, json_response

FORM_BYTES_MAX = 64 << 10
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_SUBJECT_TYPES = ("urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt")


async def exchange(request: Request) -> Response:
    """``POST /auth/token``, a form with ``grant_type``, ``subject_token`` and ``subject_token_type`` (RFC 8693 §2.1):
    ``{"access_token", "issued_token_type", "token_type": "Bearer", "expires_in", "project_id"}``."""
    ctx = context(request)
    form = await form_body(request, FORM_BYTES_MAX)
    if form.get("grant_type") != TOKEN_EXCHANGE or form.get("subject_token_type") not in _SUBJECT_TYPES:
        raise InvalidGrant("Only the exchange of an ID token is possible here.", field="grant_type")
    made = await auth.machines.exchange_token(ctx, form.get("subject_token", ""))
    assert made.token.expires_at is not None, "exchanged tokens end"
    answer = {
        "access_token": made.text,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": int((made.token.expires_at - ctx.now).total_seconds()),
        "scope": " ".join(sorted(made.token.scopes or ("all",))),
        "project_id": made.token.project_id,
    }
    return json_response(answer, headers=NO_STORE)


routes = [Route("/auth/token", exchange, methods=["POST"])]
