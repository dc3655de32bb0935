"""Content types of content without a name."""

from __future__ import annotations

import pytest

from af.protocols import media


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (b'{ "test": "i am a plain json file" }\n', "application/json"),
        (b"[1, 2]", "application/json"),
        (b"{}", "application/json"),
        (b' {"a\\"b" : [' + b"1," * 400, "application/json"),
        (b'[{"a":1},' * 100, "application/json"),
        (b"{ not json }", "text/plain; charset=utf-8"),
        (b"[[" * 200, "text/plain; charset=utf-8"),
        (b'{ "use strict"; ' + b"x" * 600, "text/plain; charset=utf-8"),
        (b"5", "text/plain; charset=utf-8"),
        (b'{"a":1}\xff', "application/octet-stream"),
        (b'{"a":1}\0', "application/octet-stream"),
    ],
)
def test_json_without_a_name_is_seen_to_be_json(start: bytes, found: str) -> None:
    assert media.type_of("", start) == found
    assert media.type_of("x.json", start) == "application/json"
