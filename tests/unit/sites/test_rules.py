"""Slugs, states and rule files as plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.core.ids import SiteId
from af.sites import rules
from af.sites.errors import InvalidName, InvalidSlug
from af.sites.models import DeploymentStatus

SITE_ID = SiteId("sit_0123456789abcdefghijklmnop")


@pytest.mark.parametrize("slug", ["a", "my-site", "a1-b2-c3", "0", "x" * 40])
def test_a_slug_is_letters_digits_and_single_hyphens(slug: str) -> None:
    assert rules.check_slug(slug) == slug


MALFORMED = ["", "x" * 41, "A", "-a", "a-", "a--b", "xn--a", "a.b", "a_b", "a b", "é", "a\n"]
RESERVED = ["api", "app", "auth", "gateway", "registry", "www", "mcp", "docs", "admin", "dashboard", "uploads"]
RESERVED += ["status", "mail", "ipfs", "ipns", "fn", "agent", "localhost"]


@pytest.mark.parametrize("slug", MALFORMED + RESERVED)
def test_other_slugs_are_refused_with_the_field_named(slug: str) -> None:
    with pytest.raises(InvalidSlug) as refused:
        rules.check_slug(slug)
    assert refused.value.field == "slug"
    assert not rules.is_valid_slug(slug)


@pytest.mark.parametrize(
    "name, slug",
    [
        ("My Site", "my-site"),
        ("Mein Café 2!", "mein-cafe-2"),
        ("a--b__c", "a-b-c"),
        ("docs", "docs-site"),
        ("x" * 60, "x" * 40),
        ("dist", "dist"),
    ],
)
def test_a_name_makes_a_slug(name: str, slug: str) -> None:
    assert rules.slug_from_name(name) == slug


@pytest.mark.parametrize("name", ["日本", "---", "!"])
def test_a_name_without_letters_or_digits_needs_a_slug(name: str) -> None:
    with pytest.raises(InvalidName):
        rules.slug_from_name(name)


@given(st.text(max_size=100))
def test_every_slug_that_is_made_is_valid(name: str) -> None:
    try:
        slug = rules.slug_from_name(name)
    except InvalidName:
        return
    assert rules.is_valid_slug(slug)
    assert rules.is_valid_slug(rules.slug_beside(slug, SITE_ID))
    assert len(rules.preview_host(SITE_ID, slug)) <= 63


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "a\x1b[0m"])
def test_names_that_cannot_be_shown_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        rules.check_name(name)


def test_final_states_never_change_and_every_state_can_end() -> None:
    for status in DeploymentStatus:
        next_ones = [wanted for wanted in DeploymentStatus if rules.may_become(status, wanted)]
        if status in rules.FINAL:
            assert next_ones == []
        else:
            assert {DeploymentStatus.FAILED, DeploymentStatus.CANCELED} <= set(next_ones)


def test_messages_lose_what_would_harm_a_terminal() -> None:
    assert rules.check_message(" fix\x1b[31m it\nnow ") == "fix[31m it\nnow"
    assert len(rules.check_message("x" * 5000)) == rules.MESSAGE_LENGTH_MAX


def test_rule_files_become_routes_and_rejections_name_their_file() -> None:
    files = {"_redirects": b"/a /b 302\n/c /d 999\n", "_headers": b"/*\n  X-A: 1\n  Set-Cookie: a=b\n"}
    found = rules.read_rule_files(files)
    assert rules.redirect_lines(found.routes) == ["/a /b 302"]
    assert rules.header_lines(found.routes) == ["/* X-A: 1"]
    assert [(rule.file, rule.line) for rule in found.rejected] == [("_redirects", 2), ("_headers", 3)]


def test_a_site_without_rule_files_has_no_routes() -> None:
    assert rules.read_rule_files({}) == rules.NO_ROUTES


def test_rule_differences_are_lines() -> None:
    before = rules.read_rule_files({"_redirects": b"/a /b\n/c /d 302!\n", "_headers": b"/*\n X-A: 1\n"}).routes
    after = rules.read_rule_files(
        {"_redirects": b"/c /d 302!\n/e x=1 /f\n", "_headers": b"/*\n X-A: 2\n ! X-B\n"}
    ).routes
    old, new = rules.redirect_lines(before), rules.redirect_lines(after)
    assert rules.only_in(new, old) == ("/e x=1 /f 301",)
    assert rules.only_in(old, new) == ("/a /b 301",)
    assert rules.only_in(rules.header_lines(after), rules.header_lines(before)) == ("/* X-A: 2", "/* ! X-B")
