"""What can be done with identity, one file per use: `users`, `tokens`, `sessions`, `authenticate` (who asks?),
`signing` (short-lived tokens), `memory` (what a process remembers)."""

from af.auth.service import device, keys, machines, profile, refresh, second_factor, sessions, sign_in
from af.auth.service.authenticate import authenticate, authenticate_token, user_of_grant
from af.auth.service.outbox import outbox_list, outbox_message
from af.auth.service.sessions import create_login_link, end_session, login_url, redeem_login_link
from af.auth.service.signing import sign_sdk_token
from af.auth.service.tokens import create_token, list_tokens, prune, revoke_token, token_allowance
from af.auth.service.users import (
    create_user,
    ensure_operator,
    me,
    person,
    require_operator,
    require_person,
    require_recent,
    require_signed_in,
    user_by_name,
    users_by_id,
)

__all__ = [
    "outbox_list",
    "outbox_message",
    "authenticate",
    "authenticate_token",
    "create_login_link",
    "create_token",
    "create_user",
    "device",
    "end_session",
    "ensure_operator",
    "keys",
    "list_tokens",
    "login_url",
    "machines",
    "me",
    "second_factor",
    "profile",
    "person",
    "prune",
    "redeem_login_link",
    "refresh",
    "require_operator",
    "require_person",
    "require_recent",
    "require_signed_in",
    "revoke_token",
    "sessions",
    "sign_in",
    "sign_sdk_token",
    "token_allowance",
    "user_by_name",
    "user_of_grant",
    "users_by_id",
]
