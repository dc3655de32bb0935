"""REST routes of signing in over other sites; part of the table in `af.server.openapi`."""

from __future__ import annotations

from af.server.openapi_shapes import COUNT, FLAG, JSON, TEXT, Operation, list_of, object_of

_USER = object_of(id=TEXT, username=TEXT, email={"type": ["string", "null"]})

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/auth/oauth/providers",
        "auth",
        "The other sites that people can sign in with here.",
        gives=(200, JSON, object_of(providers=list_of(object_of(name=TEXT, title=TEXT, authUrl=TEXT)))),
        open=True,
    ),
    Operation(
        "GET",
        "/auth/oauth/{provider}",
        "auth",
        "To the provider, with state, nonce and PKCE; binds the browser by a cookie.",
        gives=(302, "text/plain", TEXT),
        query=(
            ("return_to", "A path of ours to end at."),
            (
                "redirect_url",
                "The address of another app (AF_ALLOWED_REDIRECT_ORIGINS, loopback) that gets a one-time code.",
            ),
            ("code_challenge", "PKCE challenge of that app; a program on loopback must send one."),
            ("code_challenge_method", "S256."),
        ),
        open=True,
    ),
    Operation(
        "GET",
        "/auth/oauth/callback/{provider}",
        "auth",
        "Back from the provider: a session cookie, and on to where it began.",
        gives=(303, "text/plain", TEXT),
        query=(
            ("code", "The provider's code."),
            ("state", "The state that it was given."),
            ("iss", "The provider's issuer (RFC 9207)."),
            ("error", "Why there is no code."),
        ),
        open=True,
    ),
    Operation(
        "GET",
        "/auth/oauth/continue",
        "auth",
        "From a sign-in that has just been made to the app that asked for it, with a one-time code.",
        gives=(302, "text/plain", TEXT),
        query=(("ticket", "What the sign-in was begun with."),),
    ),
    Operation(
        "POST",
        "/auth/exchange",
        "auth",
        "Tokens for a one-time code, within 60 seconds. `codeVerifier` if there was a challenge.",
        takes=(JSON, {"type": "object", "properties": {"code": TEXT, "codeVerifier": TEXT}, "required": ["code"]}),
        gives=(
            200,
            JSON,
            object_of(success=FLAG, user=_USER, isNew=FLAG, accessToken=TEXT, refreshToken=TEXT, expiresIn=COUNT),
        ),
        open=True,
    ),
    Operation(
        "OPTIONS",
        "/auth/exchange",
        "auth",
        "A browser's question before a page of an allowed origin trades its code.",
        gives=(204, "text/plain", TEXT),
        open=True,
    ),
)
