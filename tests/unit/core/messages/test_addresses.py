"""Addresses: one plain address or none, whatever was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.core.messages import addresses
from af.core.messages.errors import InvalidAddress


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ada@example.org", "ada@example.org"),
        (" Ada.Lovelace+af@Example.ORG ", "Ada.Lovelace+af@example.org"),
        ("o'neil@sub.example.co", "o'neil@sub.example.co"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_a_plain_address_is_kept_in_one_form(text: str, kept: str) -> None:
    assert addresses.email(text) == kept
    assert addresses.email_key(text) == kept.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@example.org, bob@example.org",
        "ada@example.org;bob@example.org",
        "Ada <ada@example.org>",
        "ada@example.org\r\nBcc: bob@example.org",
        "ada@example.org\nRCPT TO:<bob@example.org>",
        "\nada@example.org",
        "ada\x00@example.org",
        "ada@exam\x00ple.org",
        "ada @example.org",
        "ada@exa mple.org",
        '"ada lovelace"@example.org',
        "ada(comment)@example.org",
        "ada@bob@example.org",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        "ada@.example.org",
        "ada@example..org",
        "ada@-example.org",
        "ada@example.org.",
        "аda@example.org",  # a Cyrillic letter
        "jürgen@example.org",
        "ada@example.org\u2028",
        "ada@exa\u202emple.org",
        "a" * 65 + "@example.org",
        "ada@" + ("x" * 60 + ".") * 4 + "example.org",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        addresses.email(text)


@given(st.text(max_size=80) | st.from_regex(r"[ -~]{1,20}@[ -~]{1,20}"))
def test_what_passes_has_no_character_that_means_something_in_a_header(text: str) -> None:
    try:
        kept = addresses.email(text)
    except InvalidAddress:
        return
    assert kept.isascii()
    assert kept.isprintable()
    assert not set(kept) & set(' <>,;:"()[]\\')
    assert kept.count("@") == 1
    assert addresses.email(kept) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("+4915112345678", "+4915112345678"),
        ("+49 151 / 123".replace("/", "-") + "45678", "+4915112345678"),
        ("0049 (151) 123.45678", "+4915112345678"),
    ],
)
def test_phone_numbers_are_kept_as_digits_with_their_country(text: str, kept: str) -> None:
    assert addresses.phone(text) == kept


@pytest.mark.parametrize(
    "text",
    ["", "015112345678", "+0123456789", "+49", "+49151\n12345", "+" + "1" * 16, "+49151x345678", "+٤٩١٥١٢٣٤٥٦٧٨"],
)
def test_what_is_no_international_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        addresses.phone(text)
