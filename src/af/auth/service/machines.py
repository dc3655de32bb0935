"""How pipelines sign in without a stored secret: the OpenID Connect token that a CI service gives each run is exchanged
for a platform token of minutes (RFC 8693), if a trust rule of the project says so.

The platform token is an ordinary access token of the rule's service account: limited to the project and the rule's
scopes, listed, audited and revoked like any other. Whoever passes a project or a service account here has authorised
(`af.projects` does).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from af.auth import rules, store, unverified
from af.auth.backends.oauth import discovery, oidc
from af.auth.errors import (
    InvalidTrustRule,
    SubjectTokenRefused,
    TokenNotFound,
    TokenNotTrusted,
    TooManyTrustRules,
    TrustRuleNotFound,
)
from af.auth.models import AccessToken, CreatedToken, TrustRule
from af.auth.service import memory, tokens
from af.auth.service.sign_in import own_origin
from af.core import audit, ids, limits
from af.core.context import SYSTEM, Actor, ActorKind, Context
from af.core.http import Client
from af.core.ids import ProjectId, TokenId, TrustRuleId, UserId
from af.core.limits import Limit

RULES_PER_PROJECT_MAX = 50
RULES_PER_ISSUER_MAX = 10_000
SUBJECT_TOKEN_LENGTH_MAX = 16_384
LIFE_MIN, LIFE_MAX = timedelta(minutes=5), timedelta(hours=12)
EXCHANGES = Limit("token exchanges from this address", 120, timedelta(minutes=5))
_CLAIMS_MAX = 20


async def add_trust_rule(
    ctx: Context,
    *,
    project_id: ProjectId,
    user_id: UserId,
    name: str,
    issuer: str,
    subject: str,
    audience: str | None = None,
    claims: Mapping[str, str] | None = None,
    scopes: Sequence[str] | None = None,
    life: timedelta = timedelta(hours=1),
) -> TrustRule:
    """From now on, runs that ``issuer`` vouches for as ``subject`` act as the service account ``user_id``.

    ``subject`` and the values of ``claims`` may hold ``*`` for any text, but ``subject`` not at its beginning.
    ``audience`` is what the pipeline asks its token for; by default the address of this platform.
    :raises InvalidTrustRule: a value is not allowed. :raises TooManyTrustRules: the project has 50.
    """
    assert ctx.actor.user_id is not None, "somebody adds it"
    rule = TrustRule(
        id=TrustRuleId(ids.new(ids.TRUST_RULE, ctx.now)),
        project_id=project_id,
        user_id=user_id,
        name=rules.check_token_name(name),
        issuer=_checked_issuer(ctx, issuer),
        audience=_checked_text("audience", audience or own_origin(ctx)),
        subject=_checked_pattern("subject", subject),
        claims={_checked_text("claims", key): _checked_text("claims", value) for key, value in (claims or {}).items()},
        scopes=rules.check_scopes(scopes),
        life=life,
        created_by=ctx.actor.user_id,
        last_used_at=None,
        created_at=ctx.now,
    )
    if len(rule.claims) > _CLAIMS_MAX:
        raise InvalidTrustRule(f"A rule looks at {_CLAIMS_MAX} claims at most.", field="claims")
    if not LIFE_MIN <= life <= LIFE_MAX:
        raise InvalidTrustRule("A platform token lives 5 minutes to 12 hours.", field="lifeSeconds")
    rules.check_power(rule.scopes, project_id, own_scopes=ctx.actor.scopes, own_project_id=ctx.actor.project_id)
    async with ctx.transaction() as tx:
        if len(await store.trust.of_project(tx, project_id)) >= RULES_PER_PROJECT_MAX:
            raise TooManyTrustRules(f"A project has at most {RULES_PER_PROJECT_MAX} trust rules.")
        await store.trust.insert(tx, rule)
    return rule


async def trust_rules(ctx: Context, project_id: ProjectId) -> list[TrustRule]:
    """The rules of a project, oldest first."""
    async with ctx.reading() as connection:
        return await store.trust.of_project(connection, project_id)


async def remove_trust_rule(ctx: Context, project_id: ProjectId, rule_id: str) -> TrustRule:
    """No run signs in by it any more, and the tokens that it gave end. :raises TrustRuleNotFound: no such rule."""
    async with ctx.transaction() as tx:
        known = ids.is_id(ids.TRUST_RULE, rule_id)
        rule = await store.trust.by_id(tx, TrustRuleId(rule_id)) if known else None
        if rule is None or rule.project_id != project_id:
            raise TrustRuleNotFound(f"The project has no trust rule {rule_id[:60]!r}.")
        await store.trust.delete(tx, [rule.id])
        await tokens.revoke_made_by(ctx, rule.id)
    return rule


async def tokens_of(ctx: Context, user_id: UserId) -> list[AccessToken]:
    """A service account's tokens that are not revoked, newest first (at most 100)."""
    async with ctx.reading() as connection:
        return await store.tokens.tokens_of(connection, user_id, ctx.now, after=None, limit=tokens.PAGE_MAX)


async def revoke_token(ctx: Context, user_id: UserId, token_id: str) -> AccessToken:
    """End one of a service account's tokens. :raises TokenNotFound: it has none with this id."""
    async with ctx.transaction() as tx:
        token = await store.tokens.token_by_id(tx, TokenId(token_id)) if ids.is_id(ids.TOKEN, token_id) else None
        if token is None or token.user_id != user_id or token.revoked_at is not None:
            raise TokenNotFound(f"The service account has no token {token_id[:60]!r}.")
        await store.tokens.revoke_token(tx, token.id, ctx.now)
    memory.of(ctx).forget_tokens([token.id])
    return token


async def end_in_project(ctx: Context, user_id: UserId, project_id: ProjectId) -> None:
    """End what a service account has in a project: its tokens, and the trust rules by which pipelines act as it."""
    async with ctx.transaction() as tx:
        await store.trust.delete_of(tx, user_id, project_id)
        ended = await store.tokens.revoke_in_project(tx, user_id, project_id, ctx.now)
    memory.of(ctx).forget_tokens(ended)


async def exchange_token(ctx: Context, subject_token: str) -> CreatedToken:
    """A platform token for a run of a pipeline. Anyone may ask: the issuer's signature is the proof.

    :raises SubjectTokenRefused: not a token of an issuer that a rule trusts, not valid, or fitting no rule. The text
        does not tell which rules there are.
    """
    await limits.take(ctx, EXCHANGES, ctx.actor.network)
    issuer = _issuer_of(subject_token)
    async with ctx.reading() as connection:
        candidates = await store.trust.by_issuer(connection, issuer, limit=RULES_PER_ISSUER_MAX) if issuer else []
    for audience in dict.fromkeys(rule.audience for rule in candidates):
        claims = await _verified(ctx, issuer, subject_token, audience)
        for rule in candidates:
            if claims is not None and rule.audience == audience and fits(rule, claims):
                return await _issue(ctx, rule, str(claims["sub"]))
    raise _refusal("This token is not valid for this platform, or fits no trust rule.")


def fits(rule: TrustRule, claims: Mapping[str, object]) -> bool:
    """Whether a verified token is what the rule trusts: every claim that the rule names is there and matches."""
    wanted = {"sub": rule.subject, **rule.claims}
    return all(rules.matches(pattern, _text(claims.get(name))) for name, pattern in wanted.items())


async def _verified(ctx: Context, issuer: str, token: str, audience: str) -> Mapping[str, object] | None:
    try:
        return await oidc.verify_token(
            ctx.get(Client),
            issuer,
            token,
            audience=audience,
            now=ctx.now,
            allow_private=_is_private(ctx, issuer),
        )
    except TokenNotTrusted as refused:
        ctx.log.info("a subject token was refused", issuer=issuer, detail=refused.detail)
        return None


async def _issue(ctx: Context, rule: TrustRule, subject: str) -> CreatedToken:
    acting = Actor(ActorKind.USER, user_id=rule.user_id, address=ctx.actor.address, user_agent=ctx.actor.user_agent)
    async with ctx.transaction() as tx:
        if not await store.trust.note_use(tx, rule.id, ctx.now):
            raise _refusal("This token is not valid for this platform.")
        made = await tokens.create_token(
            ctx.acting_as(SYSTEM),
            rule.name,
            scopes=rule.scopes,
            project_id=rule.project_id,
            expires_at=ctx.now + rule.life,
            user_id=rule.user_id,
            made_by=rule.id,
        )
        after = {"rule": rule.id, "issuer": rule.issuer, "subject": subject[:300], "token": made.token.id}
        await audit.record(ctx.acting_as(acting), f"project:{rule.project_id}", "token.exchange", rule.id, after=after)
    return made


class _Claims(msgspec.Struct):
    iss: str


def _issuer_of(token: str) -> str:
    """The unverified ``iss``, to choose whom to ask; ``""`` for what is no token."""
    if len(token) > SUBJECT_TOKEN_LENGTH_MAX:
        return ""
    try:
        issuer = unverified.part_of(token, unverified.CLAIMS, _Claims).iss
    except ValueError:
        return ""
    return issuer if len(issuer) <= 500 else ""


def _text(claim: object) -> str:
    """A claim as a pattern sees it; lists and objects match nothing."""
    if isinstance(claim, bool):
        return "true" if claim else "false"
    return str(claim) if isinstance(claim, str | int) else ""


def _checked_issuer(ctx: Context, issuer: str) -> str:
    issuer = _checked_text("issuer", issuer)
    if _is_private(ctx, issuer):
        return issuer
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidTrustRule(
            "An issuer is an https address without query, such as https://token.actions.githubusercontent.com.",
            hint="An issuer on a private network must be listed in AF_PRIVATE_ISSUERS.",
            field="issuer",
        )
    assert discovery.is_safe(issuer), "https is"
    return issuer


def _is_private(ctx: Context, issuer: str) -> bool:
    """Whether the operator allows this issuer to be on a private address."""
    return issuer in (each.strip() for each in ctx.settings.private_issuers.split(","))


def _checked_pattern(field: str, pattern: str) -> str:
    """A ``*`` may stand for a repository or a branch, not for whose they are: ``repo:acme/*``, not ``repo:acme*``."""
    pattern = _checked_text(field, pattern)
    fixed, star, _ = pattern.partition("*")
    if star and "/" not in fixed and fixed.count(":") < 2:
        raise InvalidTrustRule(
            "This subject would trust strangers' pipelines.",
            hint="Name the owner before the first *: repo:acme/site:ref:refs/heads/main, or repo:acme/*.",
            field=field,
        )
    return pattern


def _checked_text(field: str, text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= 500 or not text.isprintable():
        raise InvalidTrustRule(f"{field} is 1 to 500 characters on one line.", field=field)
    return text


def _refusal(message: str) -> SubjectTokenRefused:
    return SubjectTokenRefused(
        message, hint="Compare the pipeline's issuer, audience and subject with `af trust list` of the project."
    )
