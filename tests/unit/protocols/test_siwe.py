"""EIP-4361 messages. The published cases restate facts of the vectors at https://github.com/spruceid/siwe (test/)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols import ethereum, siwe, siwx
from af.protocols.siwx import InvalidMessage, Message, Mismatch

FULL = Message(
    scheme="https",
    domain="service.org:8443",
    address="0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946",
    statement="I accept the ServiceOrg Terms of Service: https://service.org/tos",
    uri="https://service.org/login",
    version="1",
    chain_id="1",
    nonce="12341234",
    issued_at="2022-03-17T12:45:13.610Z",
    expiration_time="2023-03-17T12:45:13.610Z",
    not_before="2022-03-17T12:45:13.610Z",
    request_id="some_id",
    resources=("ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/", "https://example.com/a.json"),
)
TEXT = """https://service.org:8443 wants you to sign in with your Ethereum account:
0xe5A12547fe4E872D192E3eCecb76F2Ce1aeA4946

I accept the ServiceOrg Terms of Service: https://service.org/tos

URI: https://service.org/login
Version: 1
Chain ID: 1
Nonce: 12341234
Issued At: 2022-03-17T12:45:13.610Z
Expiration Time: 2023-03-17T12:45:13.610Z
Not Before: 2022-03-17T12:45:13.610Z
Request ID: some_id
Resources:
- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/
- https://example.com/a.json"""
SHORT = replace(
    FULL, scheme=None, statement=None, expiration_time=None, not_before=None, request_id=None, resources=None
)


def test_all_fields_are_read_and_written() -> None:
    assert siwe.parse(TEXT) == FULL
    assert siwe.write(FULL) == TEXT


def test_without_optional_fields_two_empty_lines_follow_the_address() -> None:
    text = siwe.write(SHORT)
    assert "4946\n\n\nURI: " in text
    assert siwe.parse(text) == SHORT


@pytest.mark.parametrize(
    "domain",
    ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "test@127.0.0.1:8080", "[::cafe]", "[2001:db8::7]:80", "a%20b"],
)
def test_any_authority_is_a_domain(domain: str) -> None:
    assert siwe.parse(TEXT.replace("service.org:8443", domain, 1)).domain == domain


@pytest.mark.parametrize(
    "time", ["2021-09-30T16:25:24Z", "2021-09-30T16:25:24-02:00", "2021-12-31T23:59:60.123456789Z"]
)
def test_times_are_rfc_3339(time: str) -> None:
    assert siwe.parse(TEXT.replace("2022-03-17T12:45:13.610Z", time, 1)).issued_at == time


@pytest.mark.parametrize("uri", ["https://[::cafe]", "did:key:z6Mk", "urn:a:b?c#d", "file:///x", "a:"])
def test_any_uri_is_a_resource(uri: str) -> None:
    assert siwe.parse(TEXT + "\n- " + uri).resources == (*(FULL.resources or ()), uri)


def _without(line_start: str) -> str:
    return "\n".join(line for line in TEXT.split("\n") if not line.startswith(line_start))


def _swapped(one: str, other: str) -> str:
    lines = TEXT.split("\n")
    a, b = (next(i for i, line in enumerate(lines) if line.startswith(start)) for start in (one, other))
    lines[a], lines[b] = lines[b], lines[a]
    return "\n".join(lines)


REFUSED = {
    "empty": ("", "domain"),
    "no domain": (TEXT.replace("https://service.org:8443", "", 1), "domain"),
    "no address": (_without("0x"), "layout"),
    "no URI": (_without("URI"), "uri"),
    "no version": (_without("Version"), "version"),
    "no chain": (_without("Chain"), "chain_id"),
    "no nonce": (_without("Nonce"), "nonce"),
    "no issue time": (_without("Issued"), "issued_at"),
    "version before URI": (_swapped("URI", "Version"), "layout"),
    "nonce after time": (_swapped("Nonce", "Issued"), "layout"),
    "expiry after not-before": (_swapped("Expiration", "Not Before"), "layout"),
    "id before not-before": (_swapped("Request", "Not Before"), "layout"),
    "a field twice": (TEXT.replace("Version: 1", "Version: 1\nVersion: 1"), "layout"),
    "domain is no authority": (TEXT.replace("service.org:8443", "#notrfc4501", 1), "domain"),
    "domain with a path": (TEXT.replace("service.org:8443", "service.org/x", 1), "domain"),
    "look-alike domain": (TEXT.replace("service.org:8443", "sеrvice.org", 1), "domain"),  # Cyrillic е
    "full-width digits": (TEXT.replace("Chain ID: 1", "Chain ID: １"), "chain_id"),
    "Arabic digits in a time": (TEXT.replace("2022-03-17", "٢٠٢٢-03-17"), "issued_at"),
    "bad IPv6 domain": (TEXT.replace("service.org:8443", "[::cafe::1]", 1), "domain"),
    "address not EIP-55": (TEXT.replace("0xe5A1", "0xE5A1"), "address"),
    "address lower case": (TEXT.replace(FULL.address, FULL.address.lower()), "address"),
    "address short": (TEXT.replace("0xe5A1", "0xe5A"), "address"),
    "statement with a line break": (TEXT.replace("Service: ", "Service:\n"), "statement"),
    "statement with a quote": (TEXT.replace("I accept", '"I" accept'), "statement"),
    "URI is no URI": (TEXT.replace("URI: https://service.org/login", "URI: :not_a_uri_"), "uri"),
    "URI with a space": (TEXT.replace("service.org/login", "service.org/log in"), "uri"),
    "version 3": (TEXT.replace("Version: 1", "Version: 3"), "version"),
    "chain is no number": (TEXT.replace("Chain ID: 1", "Chain ID: ?"), "chain_id"),
    "chain is huge": (TEXT.replace("Chain ID: 1", "Chain ID: " + "1" * 5000), "chain_id"),
    "nonce of 7": (TEXT.replace("Nonce: 12341234", "Nonce: 1234123"), "nonce"),
    "nonce in base64": (TEXT.replace("Nonce: 12341234", "Nonce: 1234+/34="), "nonce"),
    "time of another format": (TEXT.replace("2022-03-17T12:45:13.610Z", "Wed Oct 05 2011 16:48:00", 1), "issued_at"),
    "31 February": (TEXT.replace("2023-03-17", "2023-02-31"), "expiration_time"),
    "hour 24": (TEXT.replace("2023-03-17T12", "2023-03-17T24"), "expiration_time"),
    "no zone": (TEXT.replace("2023-03-17T12:45:13.610Z", "2023-03-17T12:45:13.610"), "expiration_time"),
    "second after the end of time": (
        TEXT.replace("2023-03-17T12:45:13.610Z", "9999-12-31T23:59:60Z"),
        "expiration_time",
    ),
    "request id with a slash": (TEXT.replace("some_id", "some/id"), "request_id"),
    "resource without a dash": (TEXT + "\nhttps://a.example", "resources"),
    "resource is no URI": (TEXT + "\n- nothing", "resources"),
    "CRLF": (TEXT.replace("\n", "\r\n"), "domain"),
    "CR in a field": (TEXT.replace("some_id", "some_id\r"), "request_id"),
    "line after the end": (TEXT + "\n", "resources"),
    "field after the resources": (TEXT + "\nRequest ID: a", "resources"),
    "huge": (TEXT + "\n- https://a.example" * 1000, "layout"),
    "Solana's": (TEXT.replace("Ethereum", "Solana"), "domain"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_and_the_field_named(name: str) -> None:
    text, field = REFUSED[name]
    assert text != TEXT, "the case changes nothing"
    with pytest.raises(InvalidMessage) as refused:
        siwe.parse(text)
    assert refused.value.field == field


def test_a_message_that_could_not_be_read_is_not_written() -> None:
    for wrong in (
        replace(FULL, statement="one\ntwo"),
        replace(FULL, nonce="short"),
        replace(FULL, domain="a.example wants\nb"),
        replace(FULL, uri=None),
        replace(FULL, address=FULL.address.lower()),
    ):
        with pytest.raises(InvalidMessage):
            siwe.write(wrong)


_WORDS = st.text("abcXYZ019-._~", min_size=1, max_size=12)
_TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.isoformat().replace("+00:00", "Z"))
_URIS = st.builds("https://{}/{}?q={}#%20".format, _WORDS, _WORDS, _WORDS)
MESSAGES = st.builds(
    Message,
    scheme=st.none() | st.sampled_from(["http", "https", "x-a.b+1"]),
    domain=st.builds("{}:{}".format, _WORDS, st.integers(0, 65535)),
    address=st.binary(min_size=20, max_size=20).map(ethereum.to_text),
    statement=st.none() | st.text("ab:/?#[]@!$&'()*+,;= .~", min_size=1),
    uri=_URIS,
    version=st.just("1"),
    chain_id=st.integers(0, 2**64).map(str),
    nonce=st.text("abcdefABCDEF0123456789", min_size=8, max_size=40),
    issued_at=_TIMES,
    expiration_time=st.none() | _TIMES,
    not_before=st.none() | _TIMES,
    request_id=st.none() | st.text("abc:@%41".replace("%41", "-")),
    resources=st.none() | st.lists(_URIS, max_size=4).map(tuple),
)


@given(MESSAGES)
def test_reading_what_was_written_gives_it_back(message: Message) -> None:
    assert siwe.parse(siwe.write(message)) == message


@given(MESSAGES, st.data())
def test_a_changed_character_is_refused_or_makes_another_message(message: Message, data: st.DataObject) -> None:
    text = siwe.write(message)
    index = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(max_codepoint=0x2FF).filter(lambda c: c != text[index]))
    changed = text[:index] + other + text[index + 1 :]
    try:
        assert siwe.parse(changed) != message
    except InvalidMessage:
        pass


def _check(message: Message, **changed: object) -> None:
    expected = {"domain": "service.org:8443", "uri": "https://service.org/login", "chain_id": "1", "nonce": "12341234"}
    now = datetime(2022, 6, 1, tzinfo=UTC)
    siwx.check(message, **({**expected, "now": now} | changed))  # type: ignore[arg-type]


def test_a_message_for_us_in_its_time_passes() -> None:
    _check(FULL)
    _check(FULL, now=datetime(2022, 3, 17, 12, 45, 13, 610000, UTC))  # the first moment


@pytest.mark.parametrize(
    "changed,field",
    [
        ({"domain": "service.org"}, "domain"),
        ({"uri": "https://service.org/"}, "uri"),
        ({"chain_id": "10"}, "chain_id"),
        ({"nonce": "12341235"}, "nonce"),
        ({"now": datetime(2023, 3, 17, 12, 45, 13, 610000, UTC)}, "expiration_time"),
        ({"now": datetime(2022, 3, 17, 12, 45, 13, 609999, UTC)}, "not_before"),
    ],
)
def test_a_message_for_others_or_another_time_does_not(changed: dict[str, object], field: str) -> None:
    with pytest.raises(Mismatch) as refused:
        _check(FULL, **changed)
    assert refused.value.field == field


def test_the_nonce_is_found_in_a_text_that_nobody_checked() -> None:
    assert siwx.nonce_of(TEXT) == "12341234"
    for text in ("", "Nonce: short", "x Nonce: 12341234", "Nonce: " + "a" * 97, "\n" * 9000 + "Nonce: 12341234"):
        assert siwx.nonce_of(text) is None
