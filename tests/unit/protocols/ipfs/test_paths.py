"""Which names may go into a tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols.ipfs import paths
from af.protocols.ipfs.errors import InvalidName


@pytest.mark.parametrize(
    "name",
    ["a", "...", ".hidden", "..a", " ", "a b", "%2f", "\\", "C:", "caf\u00e9", "cafe\u0301", "\U0001f680", "n" * 255],
)
def test_ordinary_names_are_accepted(name: str) -> None:
    paths.check_name(name.encode())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (b"", "empty"),
        (b".", "not a name"),
        (b"..", "not a name"),
        (b"a/b", "contains '/'"),
        (b"a\0", "control character"),
        (b"a\x1b[31m", "control character"),
        (b"\x7f", "control character"),
        ("\u0085".encode(), "control character"),
        (b"n" * 256, "256 bytes long"),
        (("\u00e9" * 128).encode(), "256 bytes long"),
        (b"\xff", "not UTF-8"),
        (b"\xed\xa0\x80", "not UTF-8"),
    ],
)
def test_refused_names_say_why(name: bytes, message: str) -> None:
    with pytest.raises(InvalidName, match=message) as caught:
        paths.check_name(name)
    assert str(caught.value).isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_name_or_an_invalid_name(name: bytes) -> None:
    try:
        paths.check_name(name)
    except InvalidName:
        return
    assert name.decode().isprintable() or not name.isascii()


@given(st.text(max_size=300))
def test_any_text_splits_or_is_an_invalid_name(path: str) -> None:
    try:
        segments = paths.split(path)
    except InvalidName:
        return
    assert b"/".join(segments).decode("utf-8", "surrogateescape") == path


def test_names_that_differ_only_by_case_are_pointed_out() -> None:
    assert paths.case_clashes(["a", "B", "A", "b", "c", "Stra\u00dfe", "STRASSE"]) == [
        ("A", "a"),
        ("B", "b"),
        ("STRASSE", "Stra\u00dfe"),
    ]
    assert paths.case_clashes(["a", "a", "b"]) == []
