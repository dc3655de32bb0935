"""What can go wrong with identity. Numbers 20xx."""

from __future__ import annotations

from af.core.errors import Conflict, Forbidden, InvalidInput, NotFound, RateLimited, Unauthenticated


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"
    number = 2001
    explain = (
        "The token is unknown, expired or revoked, or was cut when it was copied. Make a new one with "
        "`af tokens create`, or sign in again with `af login`."
    )


class CrossOrigin(Forbidden):
    code = "cross_origin"
    number = 2002
    explain = (
        "A browser session was used from another origin than the platform's own pages. Changes made with a session "
        "need an Origin header equal to the address that they are sent to. Programs should send a token instead."
    )


class LinkUsed(Unauthenticated):
    code = "login_link_used"
    number = 2003
    explain = (
        "A login link works once and for a short time (AF_LOGIN_LINK_SECONDS). A start of the platform prints "
        "a new one, and so does the GraphQL mutation createLoginLink with an unlimited token."
    )


class InvalidTokenName(InvalidInput):
    code = "invalid_token_name"
    number = 2004
    explain = "A token's name has 1 to 100 letters, digits, spaces, hyphens, underscores and dots."


class InvalidScope(InvalidInput):
    code = "invalid_scope"
    number = 2005
    explain = "A scope is `all`, or `<noun>:read` or `<noun>:write` with one of the nouns that the message lists."


class InvalidExpiry(InvalidInput):
    code = "invalid_expiry"
    number = 2006
    explain = "A token expires in the future and within ten years, and not after the token that it is made with."


class TokenPowerExceeded(Forbidden):
    code = "token_power_exceeded"
    number = 2007
    explain = (
        "A token can only make tokens that may do no more than itself: the same or fewer scopes, the same project."
    )


class TooManyTokens(RateLimited):
    code = "rate_limit_exceeded"
    number = 2008
    explain = "A user may make 50 tokens in 24 hours. Wait, or use a token that you have."


class TokenLimitReached(Conflict):
    code = "max_tokens_exceeded"
    number = 2009
    explain = "A user may have 500 tokens that are neither expired nor revoked. Revoke some: `af tokens revoke`."


class TokenNotFound(NotFound):
    code = "token_not_found"
    number = 2010
    explain = "You have no token with this id, or it was revoked already. `af tokens list` shows yours."


class UserNotFound(NotFound):
    code = "user_not_found"
    number = 2011
    explain = "No user has this name or e-mail address. People must have signed in once before they can be added."


class ScopeMissing(Forbidden):
    code = "scope_missing"
    number = 2012
    explain = "The token is valid but was made without the scope that this action needs. Make one with the scope."


class OperatorOnly(Forbidden):
    code = "operator_only"
    number = 2013
    explain = "This concerns all projects of the platform, so only its operator may do it, with an unlimited token."
