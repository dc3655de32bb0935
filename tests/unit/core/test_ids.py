"""Ids sort by age, and their labels can be host names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.core import ids

moments = st.integers(946_684_800, 7_258_118_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moments, st.integers(1, 10**12))
def test_a_later_id_sorts_after_an_earlier_one(moment: datetime, milliseconds: int) -> None:
    later = moment + timedelta(milliseconds=milliseconds + 1)
    assert ids.new("dep", moment) < ids.new("dep", later)


@given(moments)
def test_an_id_has_the_shape_of_its_kind_only(moment: datetime) -> None:
    made = ids.new(ids.DEPLOYMENT, moment)
    assert ids.is_id(ids.DEPLOYMENT, made)
    assert not ids.is_id(ids.SITE, made)
    assert len(made) == 30


def test_ids_of_one_moment_differ() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({ids.new("sit", now) for _ in range(10_000)}) == 10_000


def test_a_label_is_a_host_label() -> None:
    label = ids.label(ids.new("dep", datetime(2026, 1, 1, tzinfo=UTC)))
    assert len(label) == 16
    assert set(label) <= set("abcdefghijklmnopqrstuvwxyz234567")


@pytest.mark.parametrize(
    "text", ["", "dep_", "dep", "DEP_" + "0" * 26, "dep_" + "a" * 25, "dep_" + "a" * 27, "dep_../../x"]
)
def test_other_text_is_no_id(text: str) -> None:
    assert not ids.is_id("dep", text)
