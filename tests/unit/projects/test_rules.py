"""Who may do what, as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af import auth
from af.projects import OrganizationRole, Role, rules
from af.projects.errors import InvalidAvatar, InvalidProjectName, RoleTooLow

ALLOWED = {
    Role.VIEWER: {"projects:read", "members:read", "tokens:read", "tokens:write", "sites:read", "storage:read"},
    Role.MEMBER: {"sites:write", "storage:write"},
    Role.ADMIN: {"projects:write", "members:write", "audit:read"},
    Role.OWNER: {"projects:admin"},
}


def test_each_role_may_do_its_own_and_what_lower_roles_may() -> None:
    expected: set[str] = set()
    for role in Role:
        expected |= ALLOWED[role]
        assert {action for action in rules.PROJECT_ACTIONS if rules.allows(role, action)} == expected
        assert rules.ALLOWED[role] == expected


def test_tokens_can_be_made_for_every_action() -> None:
    assert set(auth.SCOPES) == rules.PROJECT_ACTIONS | rules.ORGANIZATION_ACTIONS


def test_owners_are_the_business_of_owners() -> None:
    for own in Role:
        for before, after in ((Role.OWNER, None), (None, Role.OWNER), (Role.OWNER, Role.VIEWER)):
            if own is Role.OWNER:
                rules.check_role_change(own, before=before, after=after)
            else:
                with pytest.raises(RoleTooLow):
                    rules.check_role_change(own, before=before, after=after)
    rules.check_role_change(Role.ADMIN, before=Role.VIEWER, after=Role.ADMIN)


def test_the_stronger_of_two_roles_counts() -> None:
    for own in (None, *Role):
        for place in (None, *OrganizationRole):
            for sees in (False, True):
                given_ = (
                    {
                        OrganizationRole.OWNER: Role.OWNER,
                        OrganizationRole.ADMIN: Role.ADMIN,
                        OrganizationRole.MEMBER: Role.MEMBER if sees else None,
                        OrganizationRole.VIEWER: Role.VIEWER if sees else None,
                    }.get(place)
                    if place
                    else None
                )
                names = [role for role in Role if role in (own, given_)]
                assert rules.effective_role(own, place, sees_project=sees) is (names[-1] if names else None)


def test_nobody_in_an_organization_gives_more_than_they_have() -> None:
    ranked = [None, *OrganizationRole]
    for own in OrganizationRole:
        for before in ranked:
            for after in ranked:
                owners = OrganizationRole.OWNER in (before, after)
                above = after is not None and ranked.index(after) > ranked.index(own)
                if above or (owners and own is not OrganizationRole.OWNER):
                    with pytest.raises(RoleTooLow):
                        rules.check_place_change(own, before=before, after=after)
                else:
                    rules.check_place_change(own, before=before, after=after)


def test_billing_sees_bills_and_nothing_else() -> None:
    allowed = rules.ORGANIZATION_ALLOWED[OrganizationRole.BILLING]
    assert allowed == {"organizations:read", "billing:read", "billing:write"}
    assert rules.effective_role(None, OrganizationRole.BILLING, sees_project=True) is None


@pytest.mark.parametrize(
    "email, shown",
    [("ann@example.org", "a•••@e•••.org"), ("b@x.y.co.uk", "b•••@x•••.uk"), ("c@localhost", "c•••@l•••.")],
)
def test_a_masked_address_shows_only_its_owner_what_it_is(email: str, shown: str) -> None:
    assert rules.masked_email(email) == shown


@given(st.text(max_size=200), st.integers(1, 100))
def test_a_slug_is_always_valid(name: str, attempt: int) -> None:
    slug = rules.slug_candidate(rules.slug_from_name(name), attempt)
    assert 0 < len(slug) <= 40
    assert "--" not in slug
    assert all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in slug)
    assert slug[0] != "-" != slug[-1]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x00"])
def test_names_are_one_line(name: str) -> None:
    with pytest.raises(InvalidProjectName):
        rules.check_name(name)


@pytest.mark.parametrize("avatar", ["http://x/y", "javascript:alert(1)", "https://a b", 'https://x/"', "x" * 3000])
def test_avatars_are_addresses(avatar: str) -> None:
    with pytest.raises(InvalidAvatar):
        rules.check_avatar(avatar)
    assert rules.check_avatar("https://example.org/a.png")
