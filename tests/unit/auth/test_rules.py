"""What credentials look like and what they may do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.auth import rules
from af.auth.errors import InvalidExpiry, InvalidScope, InvalidTokenName, ScopeMissing, TokenPowerExceeded
from af.core.ids import ProjectId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RANDOM = st.text(alphabet=rules.BASE62, min_size=32, max_size=32)
SCOPES = st.none() | st.frozensets(st.sampled_from(rules.SCOPES), min_size=1)


def test_a_token_has_the_contracts_shape() -> None:
    text = rules.token_text("0" * 32)
    assert text.startswith("af_live_" + "0" * 32)
    assert len(text) == len("af_live_") + 32 + 6
    assert rules.is_token_text(text)


@given(RANDOM, st.integers(0, 37), st.sampled_from(rules.BASE62))
def test_a_changed_character_is_noticed_without_a_look_up(random: str, place: int, other: str) -> None:
    text = rules.token_text(random)
    at = len(rules.TOKEN_PREFIX) + place
    changed = text[:at] + other + text[at + 1 :]
    assert rules.is_token_text(changed) == (changed == text)


@pytest.mark.parametrize("text", ["", "af_live_", "af_live_" + "0" * 38, "x" * 46, rules.token_text("a" * 32) + "\n"])
def test_what_is_no_token_is_not_taken_for_one(text: str) -> None:
    assert not rules.is_token_text(text)


def test_a_stronger_verb_includes_a_weaker_one_and_no_other_noun() -> None:
    assert rules.covers(frozenset({"sites:write"}), "sites:read")
    assert not rules.covers(frozenset({"sites:read"}), "sites:write")
    assert not rules.covers(frozenset({"sites:write"}), "storage:read")
    assert rules.covers(None, "projects:admin")
    with pytest.raises(ScopeMissing, match="sites:write"):
        rules.require_scope(frozenset({"sites:read"}), "sites:write")


@pytest.mark.parametrize("scopes", [[], ["sites"], ["all", "sites:read"], ["sites:delete"], ["*"], ["SITES:READ"]])
def test_unknown_scopes_are_refused(scopes: list[str]) -> None:
    with pytest.raises(InvalidScope):
        rules.check_scopes(scopes)


def test_all_and_nothing_given_mean_everything() -> None:
    assert rules.check_scopes(None) is None
    assert rules.check_scopes(["all"]) is None
    assert rules.check_scopes(["sites:read", "sites:read"]) == {"sites:read"}


@given(SCOPES, SCOPES, st.sampled_from(rules.SCOPES))
def test_a_token_never_gets_more_than_its_maker_has(
    own: frozenset[str] | None, wanted: frozenset[str] | None, action: str
) -> None:
    try:
        rules.check_power(wanted, None, own_scopes=own, own_project_id=None)
    except TokenPowerExceeded:
        return
    assert rules.covers(own, action) or not rules.covers(wanted, action)


def test_a_limited_token_makes_tokens_for_its_own_project_only() -> None:
    mine, other = ProjectId("prj_mine"), ProjectId("prj_other")
    rules.check_power(None, mine, own_scopes=None, own_project_id=mine)
    for project_id in (other, None):
        with pytest.raises(TokenPowerExceeded):
            rules.check_power(None, project_id, own_scopes=None, own_project_id=mine)


def test_a_token_ends_in_the_future_and_not_after_its_maker() -> None:
    day = timedelta(days=1)
    assert rules.check_expiry(None, NOW, None) is None
    assert rules.check_expiry(None, NOW, NOW + day) == NOW + day
    assert rules.check_expiry(NOW + day, NOW, None) == NOW + day
    for expires_at, maker in ((NOW, None), (NOW - day, None), (NOW + 4000 * day, None), (NOW + 2 * day, NOW + day)):
        with pytest.raises(InvalidExpiry):
            rules.check_expiry(expires_at, NOW, maker)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "<script>", "a\nb", "naïve", "javascript:1"])
def test_token_names_are_plain(name: str) -> None:
    with pytest.raises(InvalidTokenName):
        rules.check_token_name(name)
    assert rules.check_token_name(" CI 2.0_x-y ") == "CI 2.0_x-y"
