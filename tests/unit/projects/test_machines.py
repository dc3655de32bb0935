"""Service accounts, and pipelines that sign in by an OpenID Connect token of their run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from af import auth, projects
from af.auth.errors import InvalidTrustRule, PersonRequired, SubjectTokenRefused, TokenPowerExceeded
from af.core import audit
from af.core.context import ANONYMOUS, Actor, ActorKind, Context, Platform
from af.core.errors import Forbidden, NotFound, Unauthenticated
from af.projects import Project, Role, machines
from af.projects.service.machines import ServiceAccount
from tests.support import platforms
from tests.support.issuer import Issuer, issuing
from tests.unit.sites.conftest import TickingClock

SUBJECT = "repo:acme/site:ref:refs/heads/main"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as running:
        yield running


@pytest.fixture
async def platform(database_url: str, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Platform]:
    clock = TickingClock(platforms.START)
    async with platforms.open_platform(database_url, tmp_path, clock, private_issuers=issuer.url) as opened:
        yield opened


@pytest.fixture
async def account(owner: Context, project: Project) -> ServiceAccount:
    return await machines.create_service_account(owner, project.id, "deployer", Role.MEMBER)


def pipeline(platform: Platform) -> Context:
    return platform.context(replace(ANONYMOUS, address="203.0.113.7"))


async def trust(owner: Context, account: ServiceAccount, trusted: Issuer, **changes: Any) -> auth.TrustRule:
    wanted: dict[str, Any] = {
        "service_account": account.id,
        "name": "main branch",
        "issuer": trusted.url,
        "subject": SUBJECT,
        "scopes": ["sites:write"],
        **changes,
    }
    return await machines.create_trust_rule(owner, account.project_id, **wanted)


def run_token(owner: Context, issuer: Issuer, **claims: Any) -> str:
    audience = owner.platform.url(owner.settings.domain)
    return issuer.sign(owner.now, **{"aud": audience, "sub": SUBJECT, **claims})


async def as_token(platform: Platform, text: str) -> Context:
    grant = await auth.authenticate_token(pipeline(platform), text)
    return platform.context(
        Actor(
            ActorKind.USER,
            user_id=grant.user_id,
            token_id=grant.token_id,
            scopes=grant.scopes,
            project_id=grant.project_id,
        )
    )


async def test_a_run_gets_a_token_that_may_do_what_the_rule_says_and_no_more(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    await trust(owner, account, issuer)
    made = await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))
    assert made.token.expires_at is not None
    assert made.token.expires_at <= owner.now + timedelta(hours=1)
    run = await as_token(platform, made.text)
    assert (await projects.authorize(run, "sites:write", project_id=account.project_id)).id == account.project_id
    with pytest.raises(Forbidden):
        await projects.authorize(run, "storage:write", project_id=account.project_id)
    with pytest.raises(NotFound):
        other = await projects.create_project(owner, "Another")
        await projects.authorize(run, "sites:read", project_id=other.id)
    with pytest.raises(PersonRequired):
        await machines.create_service_account(run, account.project_id, "more", Role.MEMBER)


async def test_removing_the_rule_ends_its_tokens(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    rule = await trust(owner, account, issuer)
    made = await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))
    await as_token(platform, made.text)
    await machines.delete_trust_rule(owner, account.project_id, rule.id)
    with pytest.raises(Unauthenticated):
        await as_token(platform, made.text)
    with pytest.raises(SubjectTokenRefused):
        await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))


async def test_deleting_the_account_ends_its_tokens_and_rules(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    await trust(owner, account, issuer)
    own = await machines.create_service_token(owner, account.project_id, account.id, "own")
    made = await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))
    await machines.delete_service_account(owner, account.project_id, account.id)
    for text in (own.text, made.text):
        with pytest.raises(Unauthenticated):
            await as_token(platform, text)
    assert await machines.trust_rules(owner, account.project_id) == []
    assert await machines.service_accounts(owner, account.project_id) == []


async def test_a_service_account_that_is_removed_and_added_again_has_nothing_of_before(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    await trust(owner, account, issuer)
    own = await machines.create_service_token(owner, account.project_id, account.id, "own")
    made = await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))
    await projects.remove_member(owner, account.project_id, account.id)
    await projects.add_member(owner, account.project_id, user=account.user.username, role=Role.MEMBER)
    for text in (own.text, made.text):
        with pytest.raises(Unauthenticated):
            await as_token(platform, text)
    assert await machines.trust_rules(owner, account.project_id) == []
    with pytest.raises(SubjectTokenRefused):
        await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))


async def test_what_a_service_account_has_in_another_project_stays(
    platform: Platform, owner: Context, account: ServiceAccount
) -> None:
    other = await projects.create_project(owner, "Another")
    await projects.add_member(owner, other.id, user=account.user.username, role=Role.MEMBER)
    here = await machines.create_service_token(owner, account.project_id, account.id, "here")
    await machines.delete_service_account(owner, other.id, account.id)
    assert (await as_token(platform, here.text)).actor.user_id == account.id


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "repo:acme/site:ref:refs/heads/other"},
        {"sub": "repo:acme/site:ref:refs/heads/main2"},
        {"sub": "xrepo:acme/site:ref:refs/heads/main"},
        {"sub": None},
        {"aud": "https://another.example"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
    ],
)
async def test_a_token_that_does_not_fit_is_refused(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer, claims: dict[str, Any]
) -> None:
    await trust(owner, account, issuer)
    with pytest.raises(SubjectTokenRefused):
        await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer, **claims))


async def test_a_token_signed_by_somebody_else_is_refused(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    await trust(owner, account, issuer)
    forged = RSAKey.generate_key(2048, {"kid": issuer.key.kid})
    audience = owner.platform.url(owner.settings.domain)
    for text in (
        issuer.sign(owner.now, key=forged, aud=audience, sub=SUBJECT),
        run_token(owner, issuer)[:-4] + "AAAA",
        "",
        "a.b.c",
        "x" * 100_000,
    ):
        with pytest.raises(SubjectTokenRefused):
            await auth.machines.exchange_token(pipeline(platform), text)


async def test_rules_may_look_at_claims_and_stand_for_many_branches(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    await trust(owner, account, issuer, subject="repo:acme/*:environment:prod*", claims={"repository_owner_id": "42"})
    good = {"sub": "repo:acme/site:environment:production", "repository_owner_id": "42"}
    await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer, **good))
    for wrong in ({"repository_owner_id": "43"}, {"repository_owner_id": None}, {"repository_owner_id": ["42"]}):
        with pytest.raises(SubjectTokenRefused):
            await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer, **{**good, **wrong}))


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "*"},
        {"subject": "repo:*"},
        {"subject": "repo:acme*"},
        {"subject": ""},
        {"subject": "*:ref:refs/heads/main"},
        {"issuer": "http://127.0.0.1:1"},
        {"issuer": "https://user@example.org"},
        {"issuer": "ftp://example.org"},
        {"life": timedelta(days=2)},
        {"life": timedelta(seconds=1)},
    ],
)
async def test_rules_that_would_trust_too_much_are_refused(
    owner: Context, account: ServiceAccount, issuer: Issuer, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidTrustRule):
        await trust(owner, account, issuer, **changes)


async def test_only_admins_see_and_make_them(
    platform: Platform, owner: Context, project: Project, account: ServiceAccount, issuer: Issuer
) -> None:
    member = await platforms.user(platform, "member")
    await projects.add_member(owner, project.id, user="member", role=Role.MEMBER)
    stranger = await platforms.user(platform, "stranger")
    for who, refusal in ((member, Forbidden), (stranger, NotFound)):
        with pytest.raises(refusal):
            await trust(who, account, issuer)
        with pytest.raises(refusal):
            await machines.create_service_token(who, project.id, account.id, "mine")
        with pytest.raises(refusal):
            await machines.trust_rules(who, project.id)


async def test_an_admin_cannot_make_an_owners_account(admin: Context, project: Project) -> None:
    with pytest.raises(Forbidden):
        await machines.create_service_account(admin, project.id, "boss", Role.OWNER)


async def test_exchanges_are_audited_with_the_runs_subject(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    rule = await trust(owner, account, issuer)
    await auth.machines.exchange_token(pipeline(platform), run_token(owner, issuer))
    newest = (await audit.entries(owner, f"project:{account.project_id}", limit=1))[0]
    assert (newest.action, newest.target, newest.user_id) == ("token.exchange", rule.id, account.id)
    assert newest.after is not None
    assert newest.after["subject"] == SUBJECT


@pytest.mark.usefixtures("issuer")
async def test_a_rule_gives_no_more_scopes_than_its_maker_has(
    platform: Platform, owner: Context, account: ServiceAccount, issuer: Issuer
) -> None:
    limited = owner.acting_as(replace(owner.actor, scopes=frozenset({"members:write", "sites:read"})))
    with pytest.raises(TokenPowerExceeded):
        await trust(limited, account, issuer)
