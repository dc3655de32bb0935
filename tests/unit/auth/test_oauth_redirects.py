"""Where browsers are sent: nowhere but to our own pages, named apps, and programs on the person's machine."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.auth import redirects
from af.auth.errors import RedirectRefused

OWN = "https://app.example.org"
PIECES = st.sampled_from(
    [
        "/",
        "//",
        "\\",
        "evil.com",
        "@",
        ":",
        "?",
        "#",
        "%2f",
        "%5C",
        "%09",
        "\t",
        "\n",
        " ",
        ".",
        "..",
        "%2e",
        "https:",
        "javascript:",
        "a",
        "é",
        "。",
        "\u2028",
        OWN,
        "localhost",
        "&",
        "=",
        "%",
        "%0d%0a",
        ";",
        "\x00",
        "[",
        "]",
    ]
)
HOSTILE = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=30)


def as_a_browser(text: str) -> str:
    """Where a browser on a page of ours goes (URL standard): tabs and newlines vanish, backslashes are slashes."""
    cleaned = "".join(c for c in text.strip("".join(map(chr, range(33)))) if c not in "\t\r\n").replace("\\", "/")
    scheme, colon, rest = cleaned.partition(":")
    if colon and scheme.isalnum() and rest.startswith("/"):  # any number of slashes begins a host
        cleaned = f"{scheme}://{rest.lstrip('/')}"
    elif cleaned.startswith("//"):
        cleaned = f"//{cleaned.lstrip('/')}"
    return urljoin(OWN + "/login", cleaned)


@given(HOSTILE)
def test_a_return_never_leaves_our_origin(text: str) -> None:
    for found in (redirects.safe_return(text), redirects.own_path(text, OWN), redirects.safe_return("/" + text)):
        assert found == "" or found.startswith("/")
        if found:
            assert as_a_browser(found).startswith(OWN + "/"), found
            assert found.isascii()
            assert found.isprintable()


@given(st.from_regex(r"(/[a-z0-9._~-]{1,9}){1,4}(\?[a-z0-9=&%/:-]{0,20})?", fullmatch=True))
def test_an_ordinary_path_is_kept(path: str) -> None:
    plain = not {".", ".."} & set(path.partition("?")[0].split("/"))
    assert redirects.safe_return(path) == (path if plain else "")
    assert redirects.own_path(OWN + path, OWN) == redirects.safe_return(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "//evil.com",
        "/\\evil.com",
        "\\\\evil.com",
        "/\t/evil.com",
        "https://evil.com",
        "javascript:alert(1)",
        "a/b",
        "/%2f/evil.com",
        "/%5cevil.com",
        "/a//b",
        "/../x",
        "/%2e%2E/x",
        "/a\r\nSet-Cookie: x=1",
        "/a#b",
        "/%",
        "/%0a",
        OWN + ".evil.com/",
        OWN + "@evil.com/",
        "/" + "a" * 3000,
        "/ä",
    ],
)
def test_a_return_to_somewhere_else_is_dropped(text: str) -> None:
    assert redirects.own_path(text, OWN) == ""


@given(
    HOSTILE.map(lambda text: "https://other.example" + text)
    | HOSTILE
    | HOSTILE.map(lambda text: "http://127.0.0.1" + text)
)
def test_another_app_is_one_that_was_named_or_is_on_this_machine(text: str) -> None:
    try:
        target = redirects.check_target(text, allowed={"https://other.example"}, code_challenge="c" * 43)
    except RedirectRefused:
        return
    parts = urlsplit(as_a_browser(target))
    assert f"{parts.scheme}://{parts.netloc}".lower() == "https://other.example" or (
        (parts.scheme, parts.hostname) == ("http", "127.0.0.1") and parts.port
    )
    assert urlsplit(as_a_browser(redirects.with_values(target, {"code": "x"}))).netloc == parts.netloc


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.com/",
        "https://other.example.evil.com/",
        "https://other.example@evil.com/",
        "http://other.example/",
        "https://other.example:444/",
        "https://evil.com\\@other.example/",
        "https://other.example/#a",
        "//other.example/",
        "https://other.example/?code=mine",
        "http://localhost:9/",
        "http://127.0.0.1/",
        "https://127.0.0.1:9/",
        "http://127.0.0.1.evil.com:9/",
        "http://[::1]evil:9/",
        "http://127.1:9/",
        "http://[::1:9/",
        "myapp://callback",
    ],
)
def test_apps_that_were_not_named_get_nothing(text: str) -> None:
    with pytest.raises(RedirectRefused):
        redirects.check_target(text, allowed={"https://other.example"}, code_challenge="c" * 43)


@pytest.mark.parametrize("text", ["http://127.0.0.1:4321/done?state=7", "http://[::1]:4321/"])
def test_a_program_on_this_machine_needs_pkce(text: str) -> None:
    assert redirects.check_target(text, allowed=(), code_challenge="c" * 43) == text
    with pytest.raises(RedirectRefused):
        redirects.check_target(text, allowed=(), code_challenge="")


def test_the_apps_own_state_is_kept() -> None:
    assert redirects.with_values("https://a.example/x?state=7", {"code": "c"}) == "https://a.example/x?state=7&code=c"
    assert redirects.with_values("https://a.example/x", {"code": "c"}) == "https://a.example/x?code=c"
