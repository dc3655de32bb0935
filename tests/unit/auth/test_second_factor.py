"""The second factor: codes of an authenticator app, recovery codes, and who may not get by."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from af.auth import second_factor, sign_in
from af.auth.errors import (
    ChallengeOver,
    PersonRequired,
    ReauthenticationRequired,
    SecondFactorAbsent,
    SecondFactorExists,
    WrongProof,
)
from af.auth.models import SecondFactorNeeded, SignedIn
from af.core import audit
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from af.core.limits import TooOften
from tests.unit.auth.mailbox import last_letter, letters
from tests.unit.auth.people import ADA, by_code, person, visitor

STEP = timedelta(seconds=30)


async def enrolled(platform: Platform, clock: FixedClock) -> tuple[Context, pyotp.TOTP, list[str]]:
    """Ada with a second factor: her context, her app, her recovery codes."""
    me = person(platform, await by_code(platform))
    app = pyotp.TOTP((await second_factor.begin(me)).secret)
    codes = await second_factor.confirm(me, app.at(clock.now()))
    clock.advance(STEP)
    return me, app, codes


async def half(platform: Platform) -> SecondFactorNeeded:
    """A sign-in by e-mail that waits for the second factor."""
    ctx = visitor(platform)
    begun = await sign_in.begin(ctx, "email", {"email": ADA})
    done = await sign_in.finish(ctx, "email", {"code": (await last_letter(platform)).code}, flow=begun.flow)
    assert isinstance(done, SecondFactorNeeded)
    return done


async def test_a_sign_in_needs_the_apps_code(platform: Platform, clock: FixedClock) -> None:
    _, app, codes = await enrolled(platform, clock)
    assert len(set(codes)) == 10
    waiting = await half(platform)
    done = await second_factor.finish(visitor(platform), app.at(clock.now()), flow=waiting.flow)
    assert isinstance(done, SignedIn)
    assert done.user.email == ADA
    assert done.session.method == "email"
    with pytest.raises(ChallengeOver):
        await second_factor.finish(visitor(platform), app.at(clock.now()), flow=waiting.flow)


async def test_what_is_not_confirmed_asks_for_nothing(platform: Platform) -> None:
    me = person(platform, await by_code(platform))
    first = await second_factor.begin(me)
    assert (await second_factor.begin(me)).secret != first.secret
    assert not (await second_factor.status(me)).enabled
    with pytest.raises(WrongProof):
        await second_factor.confirm(me, pyotp.TOTP(first.secret).at(platform.clock.now()))  # replaced by the second
    assert not (await by_code(platform)).is_new


async def test_each_code_counts_once_also_at_the_same_moment(platform: Platform, clock: FixedClock) -> None:
    _, app, _ = await enrolled(platform, clock)
    code = app.at(clock.now())
    waiting = [await half(platform) for _ in range(3)]
    tries = [second_factor.finish(visitor(platform), code, flow=each.flow) for each in waiting]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, SignedIn) for each in outcomes) == 1
    assert sum(isinstance(each, WrongProof) for each in outcomes) == 2


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_clocks_may_differ_by_one_step(platform: Platform, clock: FixedClock, steps: int, fits: bool) -> None:
    _, app, _ = await enrolled(platform, clock)
    clock.advance(4 * STEP)
    waiting = await half(platform)
    trying = second_factor.finish(visitor(platform), app.at(clock.now() + steps * STEP), flow=waiting.flow)
    if fits:
        assert isinstance(await trying, SignedIn)
    else:
        with pytest.raises(WrongProof):
            await trying


async def test_guessing_ends_soon(platform: Platform, clock: FixedClock) -> None:
    _, app, _ = await enrolled(platform, clock)
    wrong = f"{(int(app.at(clock.now())) + 7) % 1_000_000:06}"
    tried = 0
    with pytest.raises(TooOften):
        for _ in range(10_000):
            waiting = await half(platform)
            for _ in range(5):
                tried += 1
                with pytest.raises(WrongProof):
                    await second_factor.finish(visitor(platform), wrong, flow=waiting.flow)
    assert tried <= 12


async def test_a_recovery_code_works_once_and_its_owner_is_told(platform: Platform, clock: FixedClock) -> None:
    me, _, codes = await enrolled(platform, clock)
    waiting = [await half(platform) for _ in range(3)]
    typed = codes[0].upper().replace("-", " ")
    tries = [second_factor.finish(visitor(platform), typed, flow=each.flow) for each in waiting]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, SignedIn) for each in outcomes) == 1
    assert (await second_factor.status(me)).recovery_codes_left == 9
    assert "recovery_code_used" in [letter.template for letter in await letters(platform)]


async def test_new_recovery_codes_replace_the_old(platform: Platform, clock: FixedClock) -> None:
    me, _, old = await enrolled(platform, clock)
    new = await second_factor.renew_recovery_codes(me)
    waiting = await half(platform)
    with pytest.raises(WrongProof):
        await second_factor.finish(visitor(platform), old[0], flow=waiting.flow)
    assert isinstance(await second_factor.finish(visitor(platform), new[0], flow=waiting.flow), SignedIn)


async def test_it_is_removed_with_a_code_and_then_not_asked_for(platform: Platform, clock: FixedClock) -> None:
    me, app, codes = await enrolled(platform, clock)
    with pytest.raises(SecondFactorExists):
        await second_factor.begin(me)
    with pytest.raises(WrongProof):
        await second_factor.disable(me, "000000" if app.at(clock.now()) != "000000" else "111111")
    await second_factor.disable(me, app.at(clock.now()))
    clock.advance(STEP)
    assert isinstance(await by_code(platform), SignedIn)
    with pytest.raises(SecondFactorAbsent):
        await second_factor.renew_recovery_codes(me)
    with pytest.raises(SecondFactorAbsent):
        await second_factor.disable(me, "123456")
    assert codes


async def test_another_browser_cannot_finish(platform: Platform, clock: FixedClock) -> None:
    _, app, _ = await enrolled(platform, clock)
    await half(platform)
    for flow in (None, "", "x" * 43, "x" * 10_000):
        with pytest.raises(ChallengeOver):
            await second_factor.finish(visitor(platform), app.at(clock.now()), flow=flow)


async def test_tokens_and_old_sign_ins_change_nothing(platform: Platform, clock: FixedClock) -> None:
    me = person(platform, await by_code(platform))
    token = me.acting_as(replace(me.actor, session_id=None))
    for attempt in (second_factor.begin(token), second_factor.status(token), second_factor.disable(token, "1")):
        with pytest.raises(PersonRequired):
            await attempt
    clock.advance(timedelta(minutes=16))
    for attempt in (second_factor.begin(me), second_factor.renew_recovery_codes(me)):
        with pytest.raises(ReauthenticationRequired):
            await attempt


async def test_everything_is_audited_without_secrets(platform: Platform, clock: FixedClock) -> None:
    me, app, codes = await enrolled(platform, clock)
    waiting = await half(platform)
    await second_factor.finish(visitor(platform), codes[3], flow=waiting.flow)
    chain = f"user:{me.actor.user_id}"
    entries = await audit.entries(me, chain)
    actions = [entry.action for entry in entries]
    assert "second_factor.enable" in actions
    assert "second_factor.recovery_code_used" in actions
    assert not any(secret in str(entries) for secret in (app.secret, codes[3]))
    assert (await audit.verify(me, chain)).broken_at is None


def test_the_standards_vectors() -> None:
    """RFC 6238, appendix B (SHA-1, eight digits)."""
    app = pyotp.TOTP(base64.b32encode(b"12345678901234567890").decode(), digits=8)
    for seconds, code in ((59, "94287082"), (1_111_111_109, "07081804"), (20_000_000_000, "65353130")):
        assert app.at(datetime.fromtimestamp(seconds, UTC)) == code
