"""Settings: from the environment, checked, and passed on whole to other processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from af.core.settings import InvalidSetting, Settings, declared, load, to_environment


def test_without_an_environment_everything_has_its_default() -> None:
    assert load({}) == Settings()
    assert load({"AF_PORT": ""}) == Settings()
    assert Settings().sqlite


def test_the_command_line_wins_over_the_environment() -> None:
    assert load({"AF_PORT": "1"}).port == 1
    assert load({"AF_PORT": "1"}, port=2).port == 2
    assert load({"AF_PORT": "1"}, port=None).port == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AF_PORT", "x"),
        ("AF_PORT", "65536"),
        ("AF_PORT", "-1"),
        ("AF_SCHEME", "ftp"),
        ("AF_WORKERS", "0"),
        ("AF_DOMAIN", "a..b"),
        ("AF_DOMAIN", "a b"),
        ("AF_DOMAIN", "x" * 64 + ".org"),
        ("AF_DOMAIN", "exämple.org"),
        ("AF_DRAIN_SECONDS", "nan"),
        ("AF_LOG_LEVEL", "loud"),
        ("AF_BLOCK_BACKEND", "s4"),
    ],
)
def test_a_value_out_of_range_is_refused_and_named(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        load({name: text})
    assert name in refused.value.message
    assert refused.value.field == name


def test_every_setting_has_its_own_variable_and_a_sentence() -> None:
    variables = [declaration.metadata["env"] for declaration in declared()]
    assert len(set(variables)) == len(variables)
    assert all(variable.startswith("AF_") for variable in variables)
    assert all(declaration.metadata["help"].endswith(".") for declaration in declared())


def test_another_process_resolves_the_same_settings() -> None:
    settings = load({}, port=0, data=Path("/tmp/x"), domain="example.org", drain_seconds=1.5, rate_per_minute=7)
    assert load(to_environment(settings)) == settings


def test_addresses_show_the_port_only_when_it_is_unusual() -> None:
    assert Settings().url("localhost", 8787) == "http://localhost:8787"
    assert Settings().url("localhost", 80) == "http://localhost"
    assert load({"AF_SCHEME": "https"}).url("a.org", 443) == "https://a.org"
    assert load({"AF_SCHEME": "https", "AF_PUBLIC_PORT": "443"}).url("a.org", 8787) == "https://a.org"


def test_names_are_kept_in_one_form() -> None:
    assert load({"AF_DOMAIN": " Example.ORG. "}).domain == "example.org"
    assert load({"AF_DOMAIN": "example.org"}).sites_suffix == "example.org"
    assert load({"AF_DOMAIN": "example.org", "AF_SITES_DOMAIN": "sites.org"}).sites_suffix == "sites.org"


def test_secrets_are_declared_as_such() -> None:
    secret = {declaration.metadata["env"] for declaration in declared() if declaration.metadata["secret"]}
    assert {"AF_DATABASE_URL", "AF_MASTER_KEY"} <= secret
