"""``_headers``: the format of Netlify and Cloudflare, with what a shared platform must refuse."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols import headers, sitefiles
from af.protocols.headers import Matcher


def on(text: str, path: str) -> dict[str, str]:
    parsed = headers.parse(text)
    assert parsed.rejected == ()
    return dict(Matcher(parsed.rules).headers_for(path))


def reasons(text: str) -> list[tuple[int, str]]:
    return [(rejected.line, rejected.reason) for rejected in headers.parse(text).rejected]


def test_headers_apply_to_the_paths_of_their_block() -> None:
    text = "# all\n/*\n  X-A: 1\n/secure/page\n\tX-B: two words\n/assets/*.js\n  X-C: 3\n"
    assert on(text, "/") == {"X-A": "1"}
    assert on(text, "/secure/page") == {"X-A": "1", "X-B": "two words"}
    assert on(text, "/secure/page/") == {"X-A": "1"}
    assert on(text, "/assets/a/b.js") == {"X-A": "1", "X-C": "3"}
    assert on(text, "/assets.js") == {"X-A": "1"}


def test_values_of_one_name_are_joined_in_file_order() -> None:
    text = "/*\n  Link: </a.css>\n  link: </b.css>\n/x\n  LINK: </c.css>\n"
    assert on(text, "/x") == {"Link": "</a.css>, </b.css>, </c.css>"}


def test_headers_with_one_value_take_the_last_block() -> None:
    text = "/*\n  Cache-Control: no-cache\n  X-Frame-Options: DENY\n"
    text += "/a/*\n  cache-control: public\n  cache-control: max-age=9\n"
    assert on(text, "/a/b") == {"cache-control": "public, max-age=9", "X-Frame-Options": "DENY"}


def test_a_removal_drops_earlier_values_and_the_platforms_own() -> None:
    rules = headers.parse("/*\n  X-A: 1\n  X-B: 2\n/x\n  ! x-a\n  ! Cache-Control\n  ! X-B\n  X-B: 3\n").rules
    changes = Matcher(rules).changes_for("/x")
    assert changes.headers == (("X-B", "3"),)
    assert changes.removed == {"x-a", "cache-control"}


def test_placeholders_fill_values_encoded() -> None:
    text = "/movies/:title/*\n  X-Movie: watching :title, :splat; see https://a.example/ :other\n"
    expected = "watching %C3%A9%0D%0A, a/b; see https://a.example/ :other"
    assert on(text, "/movies/é\r\n/a/b") == {"X-Movie": expected}
    assert on(text, "/movies/x") == {}


def test_a_colon_inside_a_segment_is_text() -> None:
    assert on("/wiki/Special:Search\n  X-A: 1\n", "/wiki/Special:Search") == {"X-A": "1"}


@pytest.mark.parametrize(
    "text, line, part",
    [
        ("X-A: 1", 1, "needs a path"),
        ("/a\n  X-A", 2, "Name: value"),
        ("/a\n  X A: 1", 2, "not a header name"),
        ("/a\n  : 1", 2, "no name"),
        ("/a\n  X-A:", 2, "no value"),
        ("/a\n  X-A: é", 2, "ASCII"),
        ("/a\n  Set-Cookie: a=b", 2, "cookies"),
        ('/a\n  Clear-Site-Data: "cookies"', 2, "sign people out"),
        ("/a\n  transfer-encoding: chunked", 2, "frames"),
        ("/a\n  Content-Length: 5", 2, "frames"),
        ("/a\n  Content-Encoding: br", 2, "computes"),
        ("/a\n  ! ETag", 2, "computes"),
        ("/a\n  Basic-Auth: user:password", 2, "password"),
        ("/a\n  Location: /b", 2, "_redirects"),
        ("/a/:x\n  X-A: :x :x :x :x :x", 2, "at most 4"),
        ("/*/a/*\n", 1, "only once"),
        ("/:a*\n", 1, "share a segment"),
        ("/:a/:a\n", 1, "twice"),
        ("/a b\n", 1, "space"),
        ("/a?b\n", 1, "cannot contain"),
        ("https://x.example/*\n", 1, "host"),
        ("/a\n", 1, "no headers"),
        ("/a\n  X-A: 1\x00", 2, "control"),
    ],
)
def test_a_line_without_effect_is_reported_with_its_reason(text: str, line: int, part: str) -> None:
    found = reasons(text)
    assert any(number == line and part in why for number, why in found), found


def test_headers_below_a_rejected_path_are_reported_and_do_not_join_the_block_above() -> None:
    parsed = headers.parse("/a\n  X-A: 1\nhttps://x.example/*\n  X-B: 2\n/c\n  X-C: 3\n")
    assert [rule.path for rule in parsed.rules] == ["/a", "/c"]
    assert [rejected.line for rejected in parsed.rejected] == [3, 4]
    assert Matcher(parsed.rules).headers_for("/a") == (("X-A", "1"),)


def test_blocks_over_the_limit_are_rejected_not_dropped() -> None:
    parsed = headers.parse("".join(f"/{n}\n A: 1\n" for n in range(headers.BLOCKS_MAX + 1)))
    assert len(parsed.rules) == headers.BLOCKS_MAX
    assert [rejected.line for rejected in parsed.rejected] == [2 * headers.BLOCKS_MAX + 1, 2 * headers.BLOCKS_MAX + 2]


def test_a_file_over_64_kib_is_rejected_whole() -> None:
    assert reasons("/*\n A: 1\n" + "#" * sitefiles.FILE_BYTES_MAX)[0][0] == 0


def test_rules_survive_json() -> None:
    rules = headers.parse("/*\n  X-A: 1\n  ! X-B\n/a/:b\n  X-C: :b\n").rules
    assert headers.from_json(json.loads(json.dumps(headers.to_json(rules)))) == rules


def test_a_hostile_pattern_does_not_backtrack_for_ever() -> None:
    pattern = "/" + "/".join(f":a{n}-x" for n in range(20)) + "/*/end"
    matcher = Matcher(headers.parse(f"{pattern}\n  X-A: 1\n").rules)
    started = time.perf_counter()
    assert matcher.headers_for("/" + "-x" * 5000 + "/-x" * 1000) == ()
    assert time.perf_counter() - started < 1


@given(st.one_of(st.text(), st.binary(), st.text("/:*!\n# abX-1https\té%")))
def test_parsing_and_matching_never_fail_and_never_smuggle(content: str | bytes) -> None:
    parsed = headers.parse(content)
    matcher = Matcher(headers.from_json(headers.to_json(parsed.rules)))
    for path in ("/", "/a", "/a/b", "/é\r\nX: y"):
        for name, value in matcher.headers_for(path):
            assert name.isascii()
            assert value.isascii()
            assert not set(":\r\n") & set(name)
            assert not set("\r\n") & set(value)
