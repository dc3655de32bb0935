"""Identity tokens and what issuers say of themselves, against an issuer on loopback that signs what it is told."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from af.auth.backends.oauth import discovery, oidc
from af.auth.errors import IssuerFailed, TokenNotTrusted
from af.core.http import Client
from tests.support import answering
from tests.support.oidc import Issuer, issuer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def signer() -> Iterator[Issuer]:
    with issuer() as made:
        yield made


@pytest.fixture
def http() -> Client:
    return Client()


def claims_of(signer: Issuer, **changes: Any) -> dict[str, Any]:
    """Sound claims with changes; `None` leaves one out."""
    moment = int(NOW.timestamp())
    sound = {"iss": signer.url, "sub": "ada", "aud": "us", "iat": moment, "exp": moment + 300, "nonce": "n-1"}
    return {name: value for name, value in {**sound, **changes}.items() if value is not None}


async def verified(http: Client, signer: Issuer, token: str, **changes: Any) -> dict[str, Any]:
    wanted = {"audience": "us", "now": NOW, "nonce": "n-1", "allow_private": True, **changes}
    return await oidc.verify_token(http, signer.url, token, **wanted)


async def test_a_sound_token_is_believed(http: Client, signer: Issuer) -> None:
    found = await verified(http, signer, signer.sign(claims_of(signer, aud=["other", "us"])))
    assert found["sub"] == "ada"


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey.generate_key(2048)),
        ("PS256", RSAKey.generate_key(2048)),
        ("ES384", ECKey.generate_key("P-384")),
        ("EdDSA", OKPKey.generate_key("Ed25519")),
        ("Ed25519", OKPKey.generate_key("Ed25519")),
    ],
)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_other_asymmetric_algorithms_are_taken(http: Client, signer: Issuer, algorithm: str, key: Any) -> None:
    key.ensure_kid()
    signer.keys.append(key.as_dict(private=False))
    assert await verified(http, signer, signer.sign(claims_of(signer), key, alg=algorithm))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "them"},
        {"aud": ["them"]},
        {"aud": None},
        {"aud": {"us": 1}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\u202eb"},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": int(NOW.timestamp()) - 60},
        {"iat": None},
        {"iat": int(NOW.timestamp()) + 61},
        {"nbf": int(NOW.timestamp()) + 61},
        {"nbf": None, "nonce": "n-2"},
        {"nonce": None},
        {"nonce": ["n-1"]},
    ],
)
async def test_claims_that_are_not_for_us_now_are_refused(
    http: Client, signer: Issuer, changes: dict[str, Any]
) -> None:
    with pytest.raises(TokenNotTrusted):
        await verified(http, signer, signer.sign(claims_of(signer, **changes)))


async def test_a_clock_may_be_a_minute_off(http: Client, signer: Issuer) -> None:
    moment = int(NOW.timestamp())
    assert await verified(http, signer, signer.sign(claims_of(signer, iat=moment + 59, exp=moment - 59)))


async def test_a_token_without_signature_is_refused(http: Client, signer: Issuer) -> None:
    for algorithm in ("none", "None", "nOnE"):
        header = _b64({"alg": algorithm, "kid": "first"})
        for signature in ("", "AAAA"):
            with pytest.raises(TokenNotTrusted):
                await verified(http, signer, f"{header}.{_b64(claims_of(signer))}.{signature}")


async def test_the_public_key_is_no_shared_secret(http: Client, signer: Issuer) -> None:
    signed = f"{_b64({'alg': 'HS256', 'kid': 'first'})}.{_b64(claims_of(signer))}"
    digest = hmac.digest(signer.key.as_pem(private=False), signed.encode(), "sha256")
    with pytest.raises(TokenNotTrusted):
        await verified(http, signer, f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}")


async def test_another_key_under_the_same_name_is_refused(http: Client, signer: Issuer) -> None:
    with pytest.raises(TokenNotTrusted):
        await verified(http, signer, signer.sign(claims_of(signer), ECKey.generate_key("P-256", {"kid": "first"})))


async def test_a_key_inside_the_token_is_not_used(http: Client, signer: Issuer) -> None:
    own = ECKey.generate_key("P-256", {"kid": "own"})
    for extra in ({"jwk": own.as_dict(private=False)}, {"jku": f"{signer.url}/own"}, {"x5u": f"{signer.url}/own"}):
        with pytest.raises(TokenNotTrusted):
            await verified(http, signer, signer.sign(claims_of(signer), own, **extra))
    assert signer.asked("/own") == 0


@pytest.mark.filterwarnings("ignore:Key size should be")
async def test_a_key_for_encryption_a_short_and_a_private_one_are_passed_over(http: Client, signer: Issuer) -> None:
    weak = RSAKey.generate_key(1024)
    weak.ensure_kid()
    signer.keys = [
        {**signer.key.as_dict(private=False), "use": "enc"},
        weak.as_dict(private=False),
        {**signer.key.as_dict(private=True), "kid": "private"},
    ]
    for token in (
        signer.sign(claims_of(signer)),
        signer.sign(claims_of(signer), weak, alg="RS256"),
        signer.sign(claims_of(signer), kid="private"),
    ):
        with pytest.raises(TokenNotTrusted):
            await verified(http, signer, token)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "é.b.c", "a" * 20_000, "e30.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.e30"]
)
async def test_what_is_no_token_is_refused(http: Client, signer: Issuer, text: str) -> None:
    with pytest.raises(TokenNotTrusted):
        await verified(http, signer, text)


async def test_a_critical_header_that_we_do_not_know_is_refused(http: Client, signer: Issuer) -> None:
    token = signer.sign(claims_of(signer))
    forged = f"{_b64({'alg': 'ES256', 'kid': 'first', 'crit': ['exp2'], 'exp2': 1})}.{token.partition('.')[2]}"
    with pytest.raises(TokenNotTrusted):
        await verified(http, signer, forged)


async def test_the_access_token_must_belong_to_the_identity_token(signer: Issuer) -> None:
    # the example of OpenID Connect Core A.3: at_hash of this access token with RS256
    access, at_hash = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "77QmUPtjPfzWtF2AnpK9RQ"
    token = signer.sign(claims_of(signer))  # ES256 has the same digest
    oidc.check_sign_in(token, {"aud": "us", "at_hash": at_hash}, client_id="us", access_token=access)
    with pytest.raises(TokenNotTrusted):
        oidc.check_sign_in(token, {"aud": "us", "at_hash": at_hash}, client_id="us", access_token=access + "x")


@pytest.mark.parametrize(
    "claims", [{"aud": ["us", "them"]}, {"aud": "us", "azp": "them"}, {"aud": ["us", "them"], "azp": "them"}]
)
async def test_a_token_made_for_another_party_is_refused(signer: Issuer, claims: dict[str, Any]) -> None:
    with pytest.raises(TokenNotTrusted):
        oidc.check_sign_in(signer.sign(claims_of(signer)), claims, client_id="us", access_token="")


# --- what issuers say of themselves ---------------------------------------------------------------------------------


async def test_a_new_key_is_fetched_but_unknown_ones_do_not_make_us_ask_again_and_again(
    http: Client, signer: Issuer
) -> None:
    await verified(http, signer, signer.sign(claims_of(signer)))
    new = ECKey.generate_key("P-256", {"kid": "second"})
    signer.keys.append(dict(new.as_dict(private=False)))
    late = NOW + discovery.REFETCH_AFTER
    token = signer.sign(claims_of(signer), new)
    with pytest.raises(TokenNotTrusted):  # fetched less than a minute ago
        await verified(http, signer, token)
    assert await verified(http, signer, token, now=late)
    assert signer.asked("/jwks") == 2
    stranger = ECKey.generate_key("P-256")
    for number in range(20):
        with pytest.raises(TokenNotTrusted):
            await verified(http, signer, signer.sign(claims_of(signer), stranger, kid=f"k{number}"), now=late)
    assert signer.asked("/jwks") == 2
    assert signer.asked("/.well-known/openid-configuration") == 1


async def test_many_who_ask_at_once_share_one_fetch(http: Client, signer: Issuer) -> None:
    token = signer.sign(claims_of(signer))
    await asyncio.gather(*(verified(http, signer, token) for _ in range(20)))
    assert (signer.asked("/jwks"), signer.asked("/.well-known/openid-configuration")) == (1, 1)


async def test_an_issuer_that_fails_is_believed_for_a_day_and_not_hammered(http: Client, signer: Issuer) -> None:
    token = signer.sign(claims_of(signer, exp=int(NOW.timestamp()) + 200_000))
    await verified(http, signer, token)
    signer.server.answers = [answering.reply(503)]
    later = NOW + timedelta(hours=2)
    for _ in range(5):
        assert await verified(http, signer, token, now=later)
    assert signer.asked("/.well-known/openid-configuration") == 2
    with pytest.raises(IssuerFailed):
        await verified(http, signer, token, now=NOW + timedelta(hours=25))


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": ""},
        {"jwks_uri": "http://keys.example.org/"},
        {"token_endpoint": "ftp://x/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": 7},
    ],
)
async def test_an_issuer_that_speaks_for_another_or_without_https_is_refused(
    http: Client, signer: Issuer, changes: dict[str, Any]
) -> None:
    signer.document.update(changes)
    with pytest.raises(IssuerFailed):
        await verified(http, signer, signer.sign(claims_of(signer)))


@pytest.mark.parametrize("answer", [answering.reply(500), answering.reply(200, b"<html>"), answering.json_reply([1])])
async def test_an_issuer_that_talks_nonsense_is_a_failed_issuer(
    http: Client, signer: Issuer, answer: answering.Answer
) -> None:
    signer.server.answers = [answer]
    with pytest.raises(IssuerFailed):
        await verified(http, signer, signer.sign(claims_of(signer)))


async def test_an_issuer_in_our_own_network_is_not_asked_on_a_users_word(http: Client, signer: Issuer) -> None:
    with pytest.raises(IssuerFailed):
        await verified(http, signer, signer.sign(claims_of(signer)), allow_private=False)
    assert signer.server.requests == []


def _b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
