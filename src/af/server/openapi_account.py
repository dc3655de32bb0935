"""REST routes of signing in by every method, and of one's own account; part of the table in `af.server.openapi`."""

from __future__ import annotations

from typing import Any

from af.server.openapi_shapes import COUNT, FLAG, JSON, TEXT, Operation, list_of, object_of

_NULLABLE = {"type": ["string", "null"]}
_USER = object_of(id=TEXT, username=TEXT, email=_NULLABLE, displayName=_NULLABLE, avatarUrl=_NULLABLE)
_BEGUN = {"success": FLAG, "expiresIn": COUNT, "flow": TEXT}
_METHOD = object_of(
    id=TEXT,
    type=TEXT,
    provider=TEXT,
    identifier=TEXT,
    verified=FLAG,
    isPrimary=FLAG,
    createdAt=TEXT,
    lastUsedAt=_NULLABLE,
)
_TOKENS = object_of(success=FLAG, accessToken=TEXT, refreshToken=TEXT, expiresIn=COUNT, user=_USER, isNew=FLAG)
_DONE = (200, JSON, object_of(success=FLAG))
_ANY: dict[str, Any] = {"type": "object"}


def _begin(path: str, summary: str, shown: dict[str, Any], **claim: Any) -> Operation:
    answer = (200, JSON, object_of(**_BEGUN, **shown))
    return Operation("POST", path, "auth", summary, takes=(JSON, object_of(**claim)), gives=answer, open=True)


def _verify(path: str, summary: str, **answer: Any) -> Operation:
    return Operation(
        "POST", path, "auth", summary, takes=(JSON, object_of(**answer)), gives=(200, JSON, _TOKENS), open=True
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/auth/methods",
        "auth",
        "The ways to sign in to this platform.",
        gives=(200, JSON, object_of(methods=list_of(object_of(name=TEXT, title=TEXT)))),
        open=True,
    ),
    _begin("/auth/email/request", "Send a message with a code and a link.", {"message": TEXT}, email=TEXT),
    _verify("/auth/email/verify", "Answer with the code; ``flow`` from the request, or its cookie.", code=TEXT),
    _begin("/auth/sms/request", "Send a code to a telephone.", {"message": TEXT}, phone=TEXT),
    _verify("/auth/sms/verify", "Answer with the code.", code=TEXT),
    _begin("/auth/wallet/challenge", "A message for a wallet to sign.", {"message": TEXT, "nonce": TEXT}, address=TEXT),
    _verify("/auth/wallet/verify", "The signed message.", address=TEXT, message=TEXT, signature=TEXT),
    _begin("/auth/passkey/options", "What navigator.credentials.get takes.", {"publicKey": _ANY}),
    _verify("/auth/passkey/verify", "The authenticator's answer.", credential=_ANY),
    _verify("/auth/second-factor", "A code of the authenticator app, or a recovery code.", code=TEXT),
    Operation(
        "POST",
        "/auth/token",
        "auth",
        "Token exchange (RFC 8693): the OpenID Connect token of a pipeline's run for one of ours, by a trust rule.",
        takes=(
            "application/x-www-form-urlencoded",
            object_of(grant_type=TEXT, subject_token=TEXT, subject_token_type=TEXT),
        ),
        gives=(
            200,
            JSON,
            object_of(
                access_token=TEXT,
                issued_token_type=TEXT,
                token_type=TEXT,
                expires_in=COUNT,
                scope=TEXT,
                project_id=TEXT,
            ),
        ),
        open=True,
    ),
    Operation("GET", "/account", "account", "Oneself.", gives=(200, JSON, object_of(user=_USER))),
    Operation(
        "PATCH",
        "/account",
        "account",
        "Change the display name and the picture.",
        takes=(JSON, {"type": "object", "properties": {"displayName": TEXT, "avatarUrl": TEXT}}),
        gives=(200, JSON, object_of(user=_USER)),
    ),
    Operation(
        "DELETE",
        "/account",
        "account",
        "Leave: the account ends after AF_ACCOUNT_GRACE_DAYS. ``confirm`` is its user name.",
        takes=(JSON, object_of(confirm=TEXT)),
        gives=(200, JSON, object_of(success=FLAG, user=_USER)),
    ),
    Operation("GET", "/account/export", "account", "Everything about oneself, to keep.", gives=(200, JSON, _ANY)),
    Operation("POST", "/account/restore", "account", "Keep an account that was to be deleted.", gives=_DONE),
    Operation(
        "GET",
        "/account/methods",
        "account",
        "One's ways to sign in.",
        gives=(200, JSON, object_of(methods=list_of(_METHOD))),
    ),
    Operation(
        "POST",
        "/account/methods/link",
        "account",
        "Begin to add a way to sign in: ``method`` and what it claims.",
        takes=(JSON, object_of(method=TEXT)),
        gives=(200, JSON, object_of(**_BEGUN)),
    ),
    Operation(
        "POST",
        "/account/methods/link/verify",
        "account",
        "Add it: ``method`` and the answer.",
        takes=(JSON, object_of(method=TEXT)),
        gives=(200, JSON, object_of(success=FLAG, method=_METHOD)),
    ),
    Operation("DELETE", "/account/methods/{id}", "account", "Remove one; never the last.", gives=_DONE),
    Operation(
        "POST",
        "/account/methods/{id}/set-primary",
        "account",
        "It stands for the account; an e-mail method's address becomes the account's.",
        gives=(200, JSON, object_of(success=FLAG, method=_METHOD)),
    ),
    Operation(
        "GET",
        "/account/totp",
        "account",
        "Whether sign-ins need a second factor.",
        gives=(200, JSON, object_of(enabled=FLAG, recoveryCodesLeft=COUNT)),
    ),
    Operation(
        "POST",
        "/account/totp",
        "account",
        "A secret for an authenticator app; it counts once it is confirmed.",
        gives=(200, JSON, object_of(secret=TEXT, uri=TEXT)),
    ),
    Operation(
        "POST",
        "/account/totp/confirm",
        "account",
        "Confirm it by a code; the recovery codes are shown this once.",
        takes=(JSON, object_of(code=TEXT)),
        gives=(200, JSON, object_of(success=FLAG, recoveryCodes=list_of(TEXT))),
    ),
    Operation(
        "DELETE",
        "/account/totp",
        "account",
        "Sign-ins need none any more.",
        takes=(JSON, object_of(code=TEXT)),
        gives=_DONE,
    ),
    Operation(
        "POST",
        "/account/recovery-codes",
        "account",
        "New recovery codes; the earlier ones work no more.",
        gives=(200, JSON, object_of(success=FLAG, recoveryCodes=list_of(TEXT))),
    ),
)
