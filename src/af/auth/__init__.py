"""Identity: users, access tokens, browser sessions, login links, signing keys, and who is behind a request.

People act here on their own identity and credentials only. It knows nothing of projects: what a user may do in one is
decided by `af.projects`, which also makes tokens that are limited to one.
"""

from af.auth import redirects
from af.auth.addresses import COOKIE, is_ip_literal, is_own_host, own_origin
from af.auth.backends import Backend
from af.auth.models import AccessToken, CreatedSession, CreatedToken, Session, TokenAllowance, TrustRule, User, UserKind
from af.auth.rules import SCOPES, covers, is_picture, require_scope
from af.auth.service import (
    authenticate,
    authenticate_token,
    create_login_link,
    create_token,
    create_user,
    device,
    end_session,
    ensure_operator,
    list_tokens,
    login_url,
    machines,
    me,
    outbox_list,
    outbox_message,
    profile,
    prune,
    redeem_login_link,
    require_operator,
    require_person,
    require_recent,
    require_signed_in,
    revoke_token,
    second_factor,
    sign_in,
    sign_sdk_token,
    token_allowance,
    user_by_name,
    users_by_id,
)
from af.auth.service.keys import rotate_due_keys
from af.auth.service.sessions import list_sessions, revoke_all_sessions, revoke_session
from af.auth.shown import shown_user

__all__ = [
    "outbox_list",
    "outbox_message",
    "AccessToken",
    "Backend",
    "COOKIE",
    "CreatedSession",
    "CreatedToken",
    "SCOPES",
    "Session",
    "TokenAllowance",
    "User",
    "TrustRule",
    "UserKind",
    "authenticate",
    "authenticate_token",
    "covers",
    "create_login_link",
    "create_token",
    "create_user",
    "device",
    "end_session",
    "ensure_operator",
    "is_ip_literal",
    "is_own_host",
    "is_picture",
    "list_sessions",
    "list_tokens",
    "login_url",
    "machines",
    "me",
    "second_factor",
    "profile",
    "own_origin",
    "prune",
    "redeem_login_link",
    "redirects",
    "require_operator",
    "require_person",
    "require_recent",
    "require_scope",
    "require_signed_in",
    "revoke_all_sessions",
    "revoke_session",
    "revoke_token",
    "rotate_due_keys",
    "sign_in",
    "shown_user",
    "sign_sdk_token",
    "token_allowance",
    "user_by_name",
    "users_by_id",
]
