"""What can go wrong with identity. Numbers 20xx."""

from __future__ import annotations

from af.core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Upstream,
)


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


class InvalidClaim(InvalidInput):
    code = "invalid_claim"
    number = 2014
    explain = "Who you say you are has no possible form: an e-mail address, a phone number as +4915112345678, a wallet."


class WrongProof(Unauthenticated):
    code = "wrong_proof"
    number = 2015
    explain = (
        "The code, signature or answer of the provider does not fit what was asked. A code can be tried a few times; "
        "then ask for a new one."
    )


class ChallengeOver(Unauthenticated):
    code = "challenge_over"
    number = 2016
    explain = (
        "A sign-in that was begun is over: it was answered already, its time has passed, too many wrong answers were "
        "given, or it was begun in another browser. Begin again."
    )


class MethodNotConfigured(Unavailable):
    code = "method_not_configured"
    number = 2017
    http_status = 501
    retryable = False
    explain = "The platform knows this way to sign in but lacks its settings. The message names them."


class MethodUnknown(NotFound):
    code = "method_unknown"
    number = 2018
    explain = "There is no such way to sign in. `GET /auth/methods` lists those of this platform."


class MethodTaken(Conflict):
    code = "method_taken"
    number = 2019
    explain = (
        "This way in belongs to another account. Sign in with it and remove it there first; accounts are never merged."
    )


class AccountExists(Conflict):
    code = "account_exists"
    number = 2020
    explain = (
        "The provider vouches for an e-mail address that belongs to an account here. Sign in with that address first, "
        "then add the provider in the settings: an account is never taken over by what a provider says."
    )


class ReauthenticationRequired(Forbidden):
    code = "reauthentication_required"
    number = 2021
    explain = (
        "Changing how an account is reached needs a sign-in of the last 15 minutes. Sign in again, then repeat the "
        "change."
    )


class PersonRequired(Forbidden):
    code = "person_required"
    number = 2022
    explain = "Only a person who is signed in may do this, not an access token, whatever its scopes."


class SecondFactorRequired(Unauthenticated):
    code = "second_factor_required"
    number = 2023
    explain = (
        "The account has a second factor. Send the code of the authenticator app, or a recovery code, with the flow."
    )


class NotSignedInToLink(Forbidden):
    code = "wrong_account"
    number = 2024
    explain = "A way in is added by the account that began to add it, in the same browser."


class IssuerFailed(Upstream):
    code = "issuer_failed"
    number = 2055
    explain = (
        "A provider of sign-in does not answer, or answers in a way that its protocol does not allow. The message says "
        "what; if it concerns our client id, secret or redirect address, the operator's settings are wrong."
    )


class ConsentRefused(WrongProof):
    code = "consent_refused"
    number = 2056
    explain = "At the provider it was said not to sign in here. Begin again, or choose another way to sign in."


class TokenNotTrusted(WrongProof):
    code = "token_not_trusted"
    number = 2057
    explain = (
        "An identity token (a signed JWT of a provider) is not what it must be: signed by the issuer's keys with an "
        "asymmetric algorithm, for us, for this sign-in, and within its time. Begin again; check the clock."
    )


class RedirectRefused(InvalidInput):
    code = "redirect_refused"
    number = 2058
    explain = (
        "After signing in, people are sent to the platform's own pages, to origins in AF_ALLOWED_REDIRECT_ORIGINS, or "
        "to a program on their own machine (http://127.0.0.1:PORT, with PKCE), nowhere else."
    )


class DeviceRequestOver(NotFound):
    code = "device_request_over"
    number = 2065
    explain = (
        "A device's sign-in is unknown, was answered or collected already, or its ten minutes are over. Start again on "
        "the device: `af login`."
    )


class DeviceProofWrong(Unauthenticated):
    code = "device_proof_wrong"
    number = 2066
    explain = "Whoever asks for a device's tokens is not the device that began the sign-in: its secret does not fit."


class DeviceDenied(Forbidden):
    code = "device_denied"
    number = 2067
    explain = "The person who was asked refused to let the device in. If that was you by mistake, run `af login` again."


class PollTooFast(RateLimited):
    code = "slow_down"
    number = 2068
    explain = "A waiting device asked sooner than the interval that it was told. Wait for the time in Retry-After."


class UserCodeWrong(InvalidInput):
    code = "user_code_wrong"
    number = 2069
    explain = (
        "The code that the device shows is another one. Approve only what you began yourself, on the device in front "
        "of you: somebody may have sent you a link of theirs."
    )


class SessionNotFound(NotFound):
    code = "session_not_found"
    number = 2030
    explain = "You have no session with this id, or it is over. `GET /account/sessions` lists yours."


class InvalidRefreshToken(Unauthenticated):
    code = "invalid_refresh_token"
    number = 2031
    explain = (
        "A refresh token works once, then its successor does. This one is unknown or over, or its session was ended: "
        "by signing out, or because a used token came a second time, as if it were stolen. Sign in again."
    )


class DuplicateTokenName(Conflict):
    code = "duplicate_token_name"
    number = 2032
    explain = "You have a token with this name. Revoke it, or choose another name."


class InvalidTrustRule(InvalidInput):
    code = "invalid_trust_rule"
    number = 2070
    explain = (
        "A trust rule names an https issuer, the subject of the pipeline's token (``*`` stands for any text, after "
        "the owner) and optionally claims, and gives a token of 5 minutes to 12 hours."
    )


class TooManyTrustRules(Conflict):
    code = "too_many_trust_rules"
    number = 2071
    explain = "A project has at most 50 trust rules. One rule with ``*`` in its subject serves many branches."


class TrustRuleNotFound(NotFound):
    code = "trust_rule_not_found"
    number = 2072
    explain = "The project has no trust rule with this id. `af trust list` shows those that it has."


class SubjectTokenRefused(Unauthenticated):
    code = "subject_token_refused"
    number = 2073
    explain = (
        "The OpenID Connect token of a pipeline was not exchanged: no trust rule of any project names its issuer, it "
        "is not valid for the audience that the rule names, or its subject and claims fit no rule."
    )


class InvalidGrant(InvalidInput):
    code = "invalid_grant_type"
    number = 2074
    explain = (
        "POST /auth/token takes the grant urn:ietf:params:oauth:grant-type:token-exchange with a subject_token of type "
        "urn:ietf:params:oauth:token-type:id_token or :jwt (RFC 8693)."
    )


class SecondFactorExists(Conflict):
    code = "second_factor_exists"
    number = 2040
    explain = "The account has a second factor already. Remove it before another is set up."


class SecondFactorAbsent(Conflict):
    code = "second_factor_absent"
    number = 2041
    explain = "The account has no second factor that this could be done with. Set one up first."


class LastMethod(Conflict):
    code = "last_method"
    number = 2042
    explain = "The last way to sign in cannot be removed: nobody could reach the account again. Add another one first."


class MethodNotFound(NotFound):
    code = "method_not_found"
    number = 2043
    explain = "Your account has no such way to sign in. `GET /account/methods` lists them."


class InvalidProfile(InvalidInput):
    code = "invalid_profile"
    number = 2044
    explain = "A display name has 1 to 100 characters on one line; a picture is an https or ipfs address."


class DeletionNotConfirmed(InvalidInput):
    code = "deletion_not_confirmed"
    number = 2045
    explain = "An account is deleted only when its user name is sent along, so that it does not happen by mistake."


class AccountLeaving(Forbidden):
    code = "account_leaving"
    number = 2046
    explain = (
        "The account is to be deleted. Until then whoever signs in to it may look at it (`GET /account`), keep it "
        "after all (`POST /account/restore`, or the page /settings/account) or sign out, and nothing else."
    )
