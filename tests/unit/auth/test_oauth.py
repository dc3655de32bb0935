"""Providers: what they say of people (as recorded from their documentation), and a real one that checks PKCE."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from af.auth.backends import Asked, Identity, Opening, Proof
from af.auth.backends.oauth import OAuth, providers
from af.auth.errors import ConsentRefused, IssuerFailed, TokenNotTrusted, WrongProof
from af.auth.models import LoginMethod, Purpose
from af.auth.pkce import challenge_of
from af.core.clock import SystemClock
from af.core.http import Client
from tests.support import answering, oidc

ORIGIN = "http://localhost:8787"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def begin(backend: OAuth, now: datetime = NOW) -> Opening:
    return await backend.begin(Asked({}, Purpose.SIGN_IN, now, ORIGIN))


async def finish(backend: OAuth, secret: Mapping[str, Any], values: Mapping[str, Any], now: datetime = NOW) -> Identity:
    async def known(_subject: str) -> LoginMethod | None:
        return None

    return await backend.finish(secret, Proof(values, now, ORIGIN, known))


# --- the known providers, at loopback -------------------------------------------------------------------------------

GITHUB_USER = {
    "login": "octocat",
    "id": 583231,
    "avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4",
    "name": "The Octocat",
    "email": "public@github.com",
}
GITHUB_EMAILS = [
    {"email": "spare@example.org", "verified": True, "primary": False, "visibility": None},
    {"email": "octocat@github.com", "verified": True, "primary": True, "visibility": "private"},
]
TWITTER_USER = {
    "data": {"id": "2244994945", "name": "X Dev", "username": "XDevelopers", "profile_image_url": "http://x/"}
}
DISCORD_USER = {
    "id": "80351110224678912",
    "username": "nelly",
    "discriminator": "0",
    "global_name": "Nelly",
    "avatar": "8342729096ea3675442027381ff50dfe",
    "verified": True,
    "email": "nelly@discord.com",
}


class Vendor:
    """A provider's addresses on loopback, answered by path; ``at`` puts a provider there."""

    def __init__(self, server: answering.Server) -> None:
        self.server = server
        self.answers: dict[str, answering.Answer] = {}
        server.answers = [self._answer]

    def _answer(self, handler: answering.Handler, asked: answering.Asked) -> None:
        self.answers.get(urlsplit(asked.path).path, answering.reply(404))(handler, asked)

    def at(self, provider: providers.Provider) -> OAuth:
        places = {"token_url": "/token", "profile_url": "/me", "emails_url": "/emails"}
        moved = {name: self.server.url + path for name, path in places.items() if getattr(provider, name)}
        return OAuth(replace(provider, allow_private=True, **moved), Client())

    def form(self) -> dict[str, str]:
        posted = next(each for each in self.server.requests if each.method == "POST")
        return dict(parse_qsl(posted.body.decode(), strict_parsing=True))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with answering.running() as server:
        made = Vendor(server)
        made.answers["/token"] = answering.json_reply({"access_token": "at-1", "token_type": "bearer", "scope": "a,b"})
        yield made


async def signed_in(backend: OAuth) -> Identity:
    return await finish(backend, (await begin(backend)).secret, {"code": "c-1"})


async def test_github_names_the_account_by_its_number_and_its_verified_primary_address(vendor: Vendor) -> None:
    vendor.answers |= {"/me": answering.json_reply(GITHUB_USER), "/emails": answering.json_reply(GITHUB_EMAILS)}
    found = await signed_in(vendor.at(providers.github("id", "secret")))
    assert found == Identity(
        "583231",
        "octocat",
        "The Octocat",
        GITHUB_USER["avatar_url"],
        "octocat@github.com",  # type: ignore[arg-type]
    )
    form = vendor.form()
    assert (form["client_id"], form["client_secret"], form["code"]) == ("id", "secret", "c-1")
    assert form["redirect_uri"] == f"{ORIGIN}/auth/oauth/callback/github"
    assert [each.headers.get("Authorization") for each in vendor.server.requests] == [None, *["Bearer at-1"] * 2]


@pytest.mark.parametrize(
    "emails",
    [
        [],
        [{"email": "a@b.org", "verified": False, "primary": True}],
        [{"email": "a@b.org", "verified": True, "primary": False}],
        [{"email": "a@b.org", "verified": "yes", "primary": True}],
        [{"email": ["a@b.org"], "verified": True, "primary": True}],
        {"message": "no"},
    ],
)
async def test_an_address_that_github_did_not_verify_does_not_count(vendor: Vendor, emails: Any) -> None:
    vendor.answers |= {"/me": answering.json_reply(GITHUB_USER), "/emails": answering.json_reply(emails)}
    assert (await signed_in(vendor.at(providers.github("id", "secret")))).email is None


async def test_twitter_gets_our_secret_in_the_header_and_has_no_addresses(vendor: Vendor) -> None:
    vendor.answers["/me"] = answering.json_reply(TWITTER_USER)
    found = await signed_in(vendor.at(providers.twitter("id:1", "s&cret")))
    assert found == Identity("2244994945", "@XDevelopers", "X Dev")
    header = vendor.server.requests[0].headers["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "id%3A1:s%26cret"
    assert "client_secret" not in vendor.form()


async def test_discord_vouches_only_for_verified_addresses(vendor: Vendor) -> None:
    vendor.answers["/me"] = answering.json_reply(DISCORD_USER)
    found = await signed_in(vendor.at(providers.discord("id", "secret")))
    picture = "https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png"
    assert found == Identity("80351110224678912", "nelly", "Nelly", picture, "nelly@discord.com")
    vendor.answers["/me"] = answering.json_reply({**DISCORD_USER, "verified": False})
    assert (await signed_in(vendor.at(providers.discord("id", "secret")))).email is None


@pytest.mark.parametrize(
    "me", [{}, {"id": None}, {"id": True}, {"id": "octocat"}, {"id": "1 or 1"}, {"id": "٣"}, {"id": "9" * 40}, [], "x"]
)
async def test_a_provider_that_does_not_say_who_it_is_lets_nobody_in(vendor: Vendor, me: Any) -> None:
    vendor.answers["/me"] = answering.json_reply(me)
    with pytest.raises(IssuerFailed):
        await signed_in(vendor.at(providers.discord("id", "secret")))


async def test_names_and_pictures_of_strangers_are_made_harmless(vendor: Vendor) -> None:
    wild = {**GITHUB_USER, "name": " \u202eevil\r\n" + "x" * 500, "avatar_url": "javascript:alert(1)"}
    vendor.answers |= {"/me": answering.json_reply(wild), "/emails": answering.json_reply([])}
    found = await signed_in(vendor.at(providers.github("id", "secret")))
    assert found.display_name is not None
    assert found.display_name.startswith("evilxxx")
    assert len(found.display_name) == 100
    assert found.avatar_url is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answering.json_reply({"error": "bad_verification_code"}), WrongProof),  # GitHub: with status 200
        (answering.json_reply({"error": "invalid_grant"}, 400), WrongProof),
        (answering.json_reply({"error": "invalid_client"}, 401), IssuerFailed),
        (answering.json_reply({"error": "redirect_uri_mismatch"}), IssuerFailed),
        (answering.json_reply({"token_type": "bearer"}), IssuerFailed),
        (answering.json_reply({"access_token": "a\nb"}), IssuerFailed),
        (answering.json_reply({"access_token": "é"}), IssuerFailed),
        (answering.json_reply({"access_token": "a", "token_type": "mac"}), IssuerFailed),
        (answering.json_reply([]), IssuerFailed),
        (answering.reply(500), IssuerFailed),
        (answering.reply(200, b"access_token=a&token_type=bearer", "text/plain"), IssuerFailed),
    ],
)
async def test_what_a_provider_says_instead_of_a_token(
    vendor: Vendor, answer: answering.Answer, error: type[Exception]
) -> None:
    vendor.answers["/token"] = answer
    with pytest.raises(error):
        await signed_in(vendor.at(providers.github("id", "secret")))


async def test_our_secret_is_not_sent_to_where_a_provider_redirects(vendor: Vendor) -> None:
    with answering.running() as elsewhere:
        elsewhere.answers = [answering.json_reply({"access_token": "a"})]
        vendor.answers["/token"] = answering.reply(307, Location=f"{elsewhere.url}/token")
        with pytest.raises(IssuerFailed):
            await signed_in(vendor.at(providers.github("id", "secret")))
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"error": "access_denied"}, ConsentRefused),
        ({"error": "access_denied", "code": "c-1"}, ConsentRefused),
        ({"error": "server_error"}, IssuerFailed),
        ({}, WrongProof),
        ({"code": ""}, WrongProof),
        ({"code": ["c-1"]}, WrongProof),
        ({"code": "c" * 5000}, WrongProof),
    ],
)
async def test_an_answer_without_a_code_asks_the_provider_nothing(
    vendor: Vendor, values: dict[str, Any], error: type[Exception]
) -> None:
    backend = vendor.at(providers.github("id", "secret"))
    with pytest.raises(error):
        await finish(backend, (await begin(backend)).secret, values)
    assert vendor.server.requests == []


async def test_each_sign_in_has_a_state_and_a_verifier_of_its_own() -> None:
    backend = OAuth(providers.twitter("id", "secret"), Client())
    first, second = await begin(backend), await begin(backend)
    asked = [parse_qs(urlsplit(each.shown["redirect"]).query) for each in (first, second)]
    assert asked[0]["state"] == [first.lookup]
    assert asked[0]["code_challenge"] == [challenge_of(first.secret["verifier"])]
    assert asked[0]["code_challenge_method"] == ["S256"]
    assert asked[0]["scope"] == ["tweet.read users.read"]
    for name in ("state", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert first.secret["verifier"] not in json.dumps(dict(first.shown))


def test_the_challenge_is_that_of_the_rfc() -> None:  # RFC 7636, appendix B
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# --- a real provider ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Iterator[oidc.Provider]:
    with oidc.running() as provider:
        yield provider


@pytest.fixture
def work(real: oidc.Provider) -> OAuth:
    real.alter()
    (provider,) = providers.read_issuers(oidc.settings_of(real.issuer))
    return OAuth(provider, Client())


async def at_the_provider(backend: OAuth, **changes: Any) -> Identity:
    """A whole sign-in; ``changes`` are of the secret part."""
    now = SystemClock().now()
    opening = await begin(backend, now)
    values = await oidc.visit(opening.shown["redirect"])
    assert values.pop("state") == opening.lookup
    return await finish(backend, {**opening.secret, **changes}, values, now)


@pytest.mark.npm
async def test_a_person_of_a_configured_issuer_is_recognised(real: oidc.Provider, work: OAuth) -> None:
    real.alter(userinfo={"email": "john@doe.org", "email_verified": True, "name": "John Doe"})
    found = await at_the_provider(work)
    assert found == Identity(f"{real.issuer}|johndoe", "john@doe.org", "John Doe", None, "john@doe.org")


@pytest.mark.npm
async def test_a_wrong_verifier_gets_no_token(work: OAuth) -> None:
    with pytest.raises(WrongProof) as caught:
        await at_the_provider(work, verifier="w" * 64)
    assert "code_verifier" in caught.value.detail


@pytest.mark.npm
async def test_a_code_works_once(work: OAuth) -> None:
    now = SystemClock().now()
    opening = await begin(work, now)
    values = await oidc.visit(opening.shown["redirect"])
    await finish(work, opening.secret, values, now)
    with pytest.raises(WrongProof):
        await finish(work, opening.secret, values, now)


@pytest.mark.npm
async def test_the_identity_token_of_another_sign_in_is_refused(work: OAuth) -> None:
    with pytest.raises(TokenNotTrusted):
        await at_the_provider(work, nonce="another")


@pytest.mark.npm
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"nonce": None},
        {"sub": None},
        {"azp": "another"},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
async def test_an_identity_token_that_is_not_sound_is_refused(
    real: oidc.Provider, work: OAuth, claims: dict[str, Any]
) -> None:
    real.alter(claims=claims)
    with pytest.raises(TokenNotTrusted):
        await at_the_provider(work)


@pytest.mark.npm
async def test_an_answer_without_an_identity_token_is_the_providers_fault(real: oidc.Provider, work: OAuth) -> None:
    real.alter(token={"id_token": None})
    with pytest.raises(IssuerFailed):
        await at_the_provider(work)


@pytest.mark.npm
@pytest.mark.parametrize("userinfo", [{"sub": "eve"}, {"sub": None}])
async def test_userinfo_of_somebody_else_is_refused(real: oidc.Provider, work: OAuth, userinfo: dict[str, Any]) -> None:
    real.alter(userinfo=userinfo)
    with pytest.raises(WrongProof):
        await at_the_provider(work)


@pytest.mark.npm
async def test_an_address_and_its_verification_come_from_the_same_document(real: oidc.Provider, work: OAuth) -> None:
    real.alter(claims={"email": "victim@example.org"}, userinfo={"email": "own@example.org", "email_verified": True})
    assert (await at_the_provider(work)).email is None
    real.alter(claims={"email_verified": True}, userinfo={"email": "victim@example.org"})
    assert (await at_the_provider(work)).email is None


@pytest.mark.npm
async def test_an_answer_that_names_another_issuer_is_refused(real: oidc.Provider, work: OAuth) -> None:
    real.alter(answer={"iss": "https://evil.example"})
    with pytest.raises(WrongProof):
        await at_the_provider(work)
    real.alter(answer={"iss": real.issuer})
    assert (await at_the_provider(work)).subject == f"{real.issuer}|johndoe"
