"""Which providers there are: what the settings may say, and what is said when they cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from af.auth.backends.configured import open_methods
from af.auth.backends.oauth import providers
from af.core.http import Client
from af.core.settings import InvalidSetting, load
from tests.support import oidc


def test_a_provider_without_settings_is_absent_and_says_which_it_misses() -> None:
    methods = open_methods(load({"AF_OAUTH_GITHUB_CLIENT_ID": "a", "AF_OAUTH_GITHUB_CLIENT_SECRET": "b"}), Client())
    assert "github" in methods.backends
    assert "github" not in methods.absent
    assert methods.absent["google"] == "AF_OAUTH_GOOGLE_CLIENT_ID and AF_OAUTH_GOOGLE_CLIENT_SECRET"


def test_half_a_provider_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidSetting, match="AF_OAUTH_DISCORD_CLIENT_SECRET is not set"):
        open_methods(load({"AF_OAUTH_DISCORD_CLIENT_ID": "a"}), Client())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "google"}, "another way to sign in"),
        ({"name": "email"}, "another way to sign in"),
        ({"name": "Work"}, "lower-case"),
        ({"name": "a"}, "2 to 20"),
        ({"name": "../x"}, "lower-case"),
        ({"title": ""}, "title"),
        ({"issuer": "http://idp.example.org"}, "https://"),
        ({"issuer": "idp.example.org"}, "https://"),
        ({"issuer": "https://idp.example.org/?a=b"}, "query"),
        ({"issuer": "https://a:b@idp.example.org/"}, "password"),
        ({"clientId": ""}, "clientId"),
        ({"scopes": ["email"]}, "openid"),
        ({"scopes": ["openid", 'a"b']}, "scope"),
        ({"client_id": "x"}, "cannot be read"),
        ({"issuer": None}, "cannot be read"),
    ],
)
def test_a_wrong_issuer_in_the_settings_is_named_without_its_secret(changes: dict[str, Any], said: str) -> None:
    entry = {**json.loads(oidc.settings_of("https://idp.example.org"))[0], **changes}
    with pytest.raises(InvalidSetting, match=said) as caught:
        open_methods(load({"AF_OIDC_PROVIDERS": json.dumps([entry])}), Client())
    assert "s3cret" not in caught.value.message


def test_two_issuers_of_one_name_are_refused() -> None:
    entry = json.loads(oidc.settings_of("https://idp.example.org"))[0]
    with pytest.raises(InvalidSetting, match="twice"):
        open_methods(load({"AF_OIDC_PROVIDERS": json.dumps([entry, entry])}), Client())


def test_a_provider_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(providers.read_issuers(oidc.settings_of("https://idp.example.org")))


@pytest.mark.parametrize("text", ["https://a.example/path", "ftp://a.example", "a.example", "https://u@a.example", "*"])
def test_an_origin_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="AF_ALLOWED_REDIRECT_ORIGINS"):
        load({"AF_ALLOWED_REDIRECT_ORIGINS": text})
