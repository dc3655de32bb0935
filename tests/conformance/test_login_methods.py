"""The suite that every login method passes, each with an actor who holds the real thing: a mailbox, a telephone, a
wallet's key, an authenticator, an account with a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from af.auth.backends import Asked, Backend, Identity, Opening, Proof
from af.auth.errors import InvalidClaim, WrongProof
from af.auth.models import LoginMethod, Purpose, User
from af.core.ids import MethodId, UserId
from tests.conformance.login_actors import ACTORS, Holder

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORIGIN = "http://localhost:8787"
OWNER = User(UserId("usr_" + "0" * 10 + "a" * 16), "ada", None, False, NOW, NOW)


@pytest.fixture(params=sorted(ACTORS))
async def holder(request: pytest.FixtureRequest) -> AsyncIterator[Holder]:
    """Somebody with one account of the method; ``other()`` is somebody else."""
    async with ACTORS[request.param]() as actor:
        yield actor


@asynccontextmanager
async def begun(holder: Holder, **changes: Any) -> AsyncIterator[Opening]:
    yield await holder.backend.begin(replace(_asked(holder), **changes))


def _asked(holder: Holder) -> Asked:
    return Asked(holder.claim, Purpose.SIGN_IN, NOW, ORIGIN)


async def prove(holder: Holder, opening: Opening, values: Mapping[str, Any], now: datetime = NOW) -> Identity:
    async def known(subject: str) -> LoginMethod | None:
        if subject != holder.registered_subject:
            return None
        return LoginMethod(
            MethodId("mth_" + "0" * 10 + "a" * 16),
            OWNER.id,
            holder.backend.name,
            subject,
            "",
            True,
            holder.registered_data,
            NOW,
            None,
        )

    return await holder.backend.finish(opening.secret, Proof(values, now, ORIGIN, known))


async def test_the_owner_is_recognised_each_time_as_the_same(holder: Holder) -> None:
    subjects = set()
    for _ in range(2):
        async with begun(holder) as opening:
            identity = await prove(holder, opening, await holder.answer(opening))
            subjects.add(identity.subject)
            assert identity.label
    assert len(subjects) == 1


async def test_somebody_else_is_somebody_else(holder: Holder) -> None:
    async with begun(holder) as opening:
        mine = await prove(holder, opening, await holder.answer(opening))
    async with holder.other() as other:
        opening = await other.backend.begin(_asked(other))
        theirs = await prove(other, opening, await other.answer(opening))
    assert mine.subject != theirs.subject


async def test_an_answer_to_another_question_is_wrong(holder: Holder) -> None:
    async with begun(holder) as first, begun(holder) as second:
        answer = await holder.answer(first)
        with pytest.raises(WrongProof):
            await prove(holder, second, answer)


@pytest.mark.parametrize(
    "values", [{}, {"code": ""}, {"code": None}, {"code": 123456}, {"signature": ["x"]}, {"x": "y" * 9999}]
)
async def test_what_is_no_answer_is_wrong(holder: Holder, values: Mapping[str, Any]) -> None:
    async with begun(holder) as opening:
        with pytest.raises(WrongProof):
            await prove(holder, opening, values)


async def test_a_spoiled_answer_is_wrong(holder: Holder) -> None:
    async with begun(holder) as opening:
        for spoiled in holder.spoiled(await holder.answer(opening)):
            with pytest.raises(WrongProof):
                await prove(holder, opening, spoiled)


async def test_secrets_are_not_shown_and_are_new_each_time(holder: Holder) -> None:
    async with begun(holder) as first, begun(holder) as second:
        assert dict(first.secret) != dict(second.secret)
        for hidden in holder.hidden(first):
            assert hidden not in str(dict(first.shown))


async def test_impossible_claims_are_refused_before_anything_is_sent(holder: Holder) -> None:
    for claim in holder.impossible_claims:
        with pytest.raises(InvalidClaim):
            await holder.backend.begin(replace(_asked(holder), claim=claim))


async def test_limits_are_stated(holder: Holder) -> None:
    backend: Backend = holder.backend
    assert timedelta(minutes=1) <= backend.life <= timedelta(minutes=15)
    assert 1 <= backend.attempts_max <= 5
    assert backend.title
