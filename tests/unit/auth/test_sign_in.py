"""Signing in by e-mail and SMS: one flow for new and known people, and what must not work."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from af import auth
from af.auth import sign_in
from af.auth.errors import ChallengeOver, InvalidClaim, MethodTaken, MethodUnknown, WrongProof
from af.auth.models import Linked, Purpose, SignedIn
from af.core.clock import FixedClock
from af.core.context import Platform
from af.core.limits import TooOften
from tests.unit.auth.mailbox import last_letter, letters
from tests.unit.auth.people import ADA, by_code, person, visitor


async def test_the_first_sign_in_makes_the_account_and_the_second_finds_it(platform: Platform) -> None:
    first = await by_code(platform)
    second = await by_code(platform, "  Ada@EXAMPLE.org ")
    assert first.is_new
    assert not second.is_new
    assert first.user.id == second.user.id
    assert first.user.email == ADA
    assert first.cookie != second.cookie


async def test_the_message_has_a_code_and_a_link_and_either_works(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    letter = await last_letter(platform)
    assert letter.to == ADA
    token = letter.link_token
    done = await sign_in.finish(ctx, "email", {"token": token}, flow=begun.flow, lookup=token)
    assert isinstance(done, SignedIn)
    with pytest.raises(ChallengeOver):  # the code of the same message is used up with the link
        await sign_in.finish(ctx, "email", {"code": letter.code}, flow=begun.flow)


async def test_a_link_does_nothing_in_another_browser(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    token = (await last_letter(platform)).link_token
    elsewhere = await sign_in.begin(visitor(platform, "198.51.100.9"), "email", {"email": "eve@example.org"})
    for flow in (None, "x" * 43, elsewhere.flow):
        with pytest.raises(ChallengeOver):
            await sign_in.finish(ctx, "email", {"token": token}, flow=flow, lookup=token)
    assert isinstance(await sign_in.finish(ctx, "email", {"token": token}, flow=begun.flow, lookup=token), SignedIn)


async def test_five_wrong_codes_end_the_challenge(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    code = (await last_letter(platform)).code
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        with pytest.raises(WrongProof):
            await sign_in.finish(ctx, "email", {"code": wrong}, flow=begun.flow)
    with pytest.raises(ChallengeOver):
        await sign_in.finish(ctx, "email", {"code": code}, flow=begun.flow)


async def test_guesses_at_the_same_moment_count_one_by_one(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    wrong = f"{(int((await last_letter(platform)).code) + 1) % 1_000_000:06}"
    guesses = [sign_in.finish(ctx, "email", {"code": wrong}, flow=begun.flow) for _ in range(20)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(each, WrongProof) for each in outcomes) == 5
    assert sum(isinstance(each, ChallengeOver) for each in outcomes) == 15


async def test_a_code_counts_once_for_whoever_is_first(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    code = (await last_letter(platform)).code
    tries = [sign_in.finish(ctx, "email", {"code": code}, flow=begun.flow) for _ in range(4)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, SignedIn) for each in outcomes) == 1
    assert sum(isinstance(each, ChallengeOver) for each in outcomes) == 3


async def test_codes_end_after_ten_minutes(platform: Platform, clock: FixedClock) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    code = (await last_letter(platform)).code
    clock.advance(timedelta(minutes=10, seconds=1))
    with pytest.raises(ChallengeOver):
        await sign_in.finish(ctx, "email", {"code": code}, flow=begun.flow)


async def test_messages_to_one_address_and_requests_from_one_are_limited(platform: Platform) -> None:
    for number in range(5):
        await sign_in.begin(visitor(platform, f"203.0.113.{number}"), "email", {"email": ADA})
    with pytest.raises(TooOften) as refused:
        await sign_in.begin(visitor(platform, "203.0.113.99"), "email", {"email": ADA})
    assert refused.value.retry_after_seconds
    assert refused.value.headers()["RateLimit-Limit"] == "5"
    for number in range(30):
        await sign_in.begin(visitor(platform), "email", {"email": f"user{number}@example.org"})
    with pytest.raises(TooOften):
        await sign_in.begin(visitor(platform), "email", {"email": "another@example.org"})


async def test_many_ipv6_addresses_of_one_network_are_limited_as_one(platform: Platform) -> None:
    for number in range(30):
        ctx = visitor(platform, f"2001:db8:1:2::{number:x}")
        await sign_in.begin(ctx, "email", {"email": f"user{number}@example.org"})
    with pytest.raises(TooOften):
        await sign_in.begin(visitor(platform, "2001:db8:1:2::ffff"), "email", {"email": ADA})
    await sign_in.begin(visitor(platform, "2001:db8:1:3::1"), "email", {"email": ADA})


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org, eve@example.org",
        "аda@example.org",  # a Cyrillic а
        "ada@exam ple.org",
        "ada@-example.org",
        "a" * 65 + "@example.org",
        "ada@" + "a." * 130 + "org",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@localhost",  # no message could be sent there
        "ada@example.org\n",
        "\x00@example.org",
    ],
)
async def test_impossible_addresses_are_refused(platform: Platform, address: str) -> None:
    with pytest.raises(InvalidClaim):
        await sign_in.begin(visitor(platform), "email", {"email": address})
    assert await letters(platform) == []


async def test_look_alike_domains_are_different_accounts(platform: Platform) -> None:
    latin, cyrillic = await by_code(platform, "ada@paypal.example"), await by_code(platform, "ada@pаypal.example")
    assert latin.user.id != cyrillic.user.id
    assert (cyrillic.user.email or "").startswith("ada@xn--")


async def test_an_account_has_the_address_that_its_message_went_to(platform: Platform) -> None:
    done = await by_code(platform, " Ada@Straße.example ")
    assert done.user.email == (await last_letter(platform)).to == "ada@xn--strae-oqa.example"
    assert (await by_code(platform, "ada@xn--strae-oqa.example")).user.id == done.user.id


async def test_sms_codes(platform: Platform) -> None:
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "sms", {"phone": "+49 (151) 1234-5678"})
    letter = await last_letter(platform)
    assert letter.to == "+4915112345678"
    done = await sign_in.finish(ctx, "sms", {"code": letter.code}, flow=begun.flow)
    assert isinstance(done, SignedIn)
    assert done.user.email is None
    with pytest.raises(InvalidClaim):
        await sign_in.begin(ctx, "sms", {"phone": "0151 12345678"})


async def test_a_second_way_in_needs_proof_of_both(platform: Platform) -> None:
    first = await by_code(platform)
    me = person(platform, first)
    begun = await sign_in.begin(me, "sms", {"phone": "+4915112345678"}, purpose=Purpose.LINK)
    code = (await last_letter(platform)).code
    with pytest.raises(auth.errors.NotSignedInToLink):
        await sign_in.finish(visitor(platform), "sms", {"code": code}, flow=begun.flow)
    linked = await sign_in.finish(me, "sms", {"code": code}, flow=begun.flow)
    assert isinstance(linked, Linked)
    assert linked.method.user_id == first.user.id

    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "sms", {"phone": "+4915112345678"})
    done = await sign_in.finish(ctx, "sms", {"code": (await last_letter(platform)).code}, flow=begun.flow)
    assert isinstance(done, SignedIn)
    assert done.user.id == first.user.id


async def test_linking_needs_a_recent_sign_in(platform: Platform, clock: FixedClock) -> None:
    me = person(platform, await by_code(platform))
    clock.advance(timedelta(minutes=16))
    with pytest.raises(auth.errors.ReauthenticationRequired):
        await sign_in.begin(me, "sms", {"phone": "+4915112345678"}, purpose=Purpose.LINK)


async def test_another_accounts_way_in_cannot_be_added(platform: Platform) -> None:
    await by_code(platform, "eve@example.org")
    me = person(platform, await by_code(platform))
    begun = await sign_in.begin(me, "email", {"email": "eve@example.org"}, purpose=Purpose.LINK)
    with pytest.raises(MethodTaken):
        await sign_in.finish(me, "email", {"code": (await last_letter(platform)).code}, flow=begun.flow)


async def test_unknown_methods_are_named(platform: Platform) -> None:
    with pytest.raises(MethodUnknown):
        await sign_in.begin(visitor(platform), "smoke-signals", {})


async def test_no_secret_is_stored_in_the_clear(platform: Platform) -> None:
    begun = await sign_in.begin(visitor(platform), "email", {"email": ADA})
    letter = await last_letter(platform)
    if platform.settings.sqlite:
        stored = b"".join(path.read_bytes() for path in platform.settings.data.glob("platform.sqlite*"))
        for secret in (begun.flow, letter.code, letter.link_token, ADA):
            assert secret.encode() not in stored
