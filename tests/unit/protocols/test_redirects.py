"""``_redirects``: https://specs.ipfs.tech/http-gateways/web-redirects-file/ and Netlify's additions."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from af.protocols import redirects, sitefiles
from af.protocols.redirects import Match, Matcher

SPEC_EXAMPLE = """\
/redirect-one /one.html
/301-redirect-one /one.html 301
/302-redirect-two /two.html 302
/200-index /index.html 200
/posts/:year/:month/:day/:title /articles/:year/:month/:day/:title 301
/splat/* /redirected-splat/:splat 301
/not-found/* /404.html 404
/gone/* /410.html 410
/unavail/* /451.html 451
/* /index.html 200
"""


def answer(text: str, path: str, query: str = "", *, exists: bool = False) -> tuple[int, str] | None:
    parsed = redirects.parse(text)
    assert parsed.rejected == ()
    match = Matcher(parsed.rules).match(path, query, exists=exists)
    return (match.status, match.to) if match else None


def reason(text: str) -> str:
    parsed = redirects.parse(text)
    assert parsed.rules == ()
    assert len(parsed.rejected) == 1
    return parsed.rejected[0].reason


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/redirect-one", (301, "/one.html")),
        ("/redirect-one/", (301, "/one.html")),
        ("/301-redirect-one", (301, "/one.html")),
        ("/302-redirect-two", (302, "/two.html")),
        ("/200-index", (200, "/index.html")),
        ("/posts/2022/01/01/hello-world", (301, "/articles/2022/01/01/hello-world")),
        ("/splat/one.html", (301, "/redirected-splat/one.html")),
        ("/splat/a/b/", (301, "/redirected-splat/a/b/")),
        ("/splat", (301, "/redirected-splat/")),
        ("/not-found/has-no-redirects-entry", (404, "/404.html")),
        ("/gone/x", (410, "/410.html")),
        ("/unavail/x", (451, "/451.html")),
        ("/", (200, "/index.html")),
        ("/anything/else", (200, "/index.html")),
        ("/posts/2022/01/01", (200, "/index.html")),
    ],
)
def test_the_specs_own_example_answers_as_the_spec_says(path: str, expected: tuple[int, str]) -> None:
    assert answer(SPEC_EXAMPLE, path) == expected


def test_a_path_with_a_file_is_left_alone_unless_the_rule_is_forced() -> None:
    assert answer("/a /b 302\n/a /c 302!", "/a", exists=True) == (302, "/c")
    assert answer("/a /b 302\n/a /c 302!", "/a", exists=False) == (302, "/b")
    assert answer("/* /index.html 200", "/a.css", exists=True) is None


def test_existence_is_asked_at_most_once_and_only_when_it_matters() -> None:
    asked: list[bool] = []

    def exists() -> bool:
        asked.append(True)
        return True

    matcher = Matcher(redirects.parse("/a /x\n/* /y 302\n/b /z 301!").rules)
    assert matcher.has_forced
    assert matcher.match("/b", exists=exists) == Match(301, "/z", True, 3)
    assert len(asked) == 1
    assert matcher.match("/a", exists=exists) is None
    assert len(asked) == 2


def test_the_first_rule_in_file_order_wins_whatever_its_kind() -> None:
    assert answer("/* /first 302\n/a /second 302", "/a") == (302, "/first")
    assert answer("/a /second 302\n/* /first 302", "/a") == (302, "/second")
    assert answer("/a/:x /one 302\n/:y/b /two 302\n/a/* /three 302", "/a/b") == (302, "/one")
    assert answer("/:y/b /two 302\n/a/:x /one 302", "/a/b") == (302, "/two")


def test_a_star_may_follow_the_start_of_a_segment() -> None:
    assert answer("/old-* /new/:splat", "/old-shop/x") == (301, "/new/shop/x")
    assert answer("/old-* /new/:splat", "/older") is None


def test_query_conditions_capture_values_and_other_parameters_are_carried_along() -> None:
    text = "/articles id=:id tag=:tag /posts/:tag/:id\n/articles id=:id /posts/:id\n/articles kind=new /new"
    assert answer(text, "/articles", "id=7&tag=red") == (301, "/posts/red/7")
    assert answer(text, "/articles", "id=7&utm=x") == (301, "/posts/7?utm=x")
    assert answer(text, "/articles", "kind=new") == (301, "/new")
    assert answer(text, "/articles", "kind=old") is None
    assert answer(text, "/articles", "id=") is None


def test_the_targets_own_query_wins_over_the_requests() -> None:
    assert answer("/a /b?x=1#top", "/a", "x=2&y=3") == (301, "/b?x=1&y=3#top")


def test_absolute_targets_are_for_redirects() -> None:
    assert answer("/x/* https://example.com:8443/y/:splat 308", "/x/é/z") == (
        308,
        "https://example.com:8443/y/%C3%A9/z",
    )
    assert answer("/x HTTPS://example.com", "/x") == (301, "https://example.com")


def test_values_are_encoded_again_in_locations() -> None:
    assert answer("/x/:a /y?z=:a", "/x/a&b=c d") == (301, "/y?z=a%26b%3Dc%20d")
    assert answer("/x/* /y/:splat", '/x/a?b"#%') == (301, "/y/a%3Fb%22%23%25")
    assert answer("/x/* /y/:splat", "/x/a\r\nSet-Cookie: b") == (301, "/y/a%0D%0ASet-Cookie:%20b")
    assert answer("/x/* /y", "/x", "a=\r\nb") == (301, "/y?a=%0D%0Ab")


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/x", "/\\evil.example", "///evil.example", "/%09/evil"]
)
def test_no_request_can_turn_a_rule_into_a_redirect_to_another_origin(path: str) -> None:
    found = answer("/* /:splat 302", path)
    assert found is None or not found[1].startswith(("//", "/\\"))


def test_rewrites_name_decoded_files_and_never_leave_the_site() -> None:
    assert answer("/a/* /b%20c/:splat 200", "/a/é x") == (200, "/b c/é x")
    assert answer("/a/* /b/:splat 200", "/a/../../etc") is None


def test_a_redirect_that_would_lead_back_to_itself_does_not_apply() -> None:
    assert answer("/* /:splat 301", "/a") is None
    assert answer("/blog /blog/ 301!", "/blog", exists=True) is None
    assert answer("/search q=:q /search?term=:q", "/search", "q=x") == (301, "/search?term=x")
    assert answer("/search q=:q /search?q=:q", "/search", "q=x") is None


def test_escapes_in_from_mean_the_decoded_path() -> None:
    assert answer("/caf%C3%A9 /x", "/café") == (301, "/x")
    assert answer("/café/:a /x/:a", "/café/ü") == (301, "/x/%C3%BC")


def test_comments_blank_lines_and_crlf_are_understood() -> None:
    assert answer("\ufeff# hello\r\n\r\n  /a   /b  302  # why\r\n", "/a") == (302, "/b")


@pytest.mark.parametrize(
    "line, part",
    [
        ("/a", "no target"),
        ("/a 301", "no target"),
        ("a /b", "must start with /"),
        ("https://x.example/a /b", "host"),
        ("/a b", "a path that starts with one /"),
        ("/a //evil.example", "a path that starts with one /"),
        ("/a javascript:alert(1)", "a path that starts with one /"),
        ("/a ftp://x.example/", "scheme"),
        ("/a /b 418", "status 418 is not supported"),
        ("/a /b 99999999999", "is not a status"),
        ("/a /b 301 302", "one too many"),
        ("/a /b 302 Country=us", "Country"),
        ("/a /b Language=de", "Language"),
        ("/a /b maybe", "'maybe' is not a status"),
        ("/a https://x.example/ 200", "not supported"),
        ("/a https://x.example/ 404", "must be a file of this site"),
        ("/a https://:h.example/", "host of the target"),
        ("/a https://good@evil.example/", "malformed"),
        ("/a/*/b /c", "only once, at the end"),
        ("/a/:x/:x /c", "twice"),
        ("/a/:splat/* /c", "twice"),
        ("/a/:1 /c", "not a placeholder"),
        ("/a/:x* /c", "not a placeholder"),
        ("/a /b/:c", ":c in the target is not captured"),
        ("/a?x=1 /b", "query parameters"),
        ("/a#x /b", "fragment"),
        ("/a x=:1 /b", "not a placeholder"),
        ("/a x=:y x=:z /b", "twice"),
        ("/a x= /b", "name=value"),
        ("/a /b?x 200", "cannot contain ?"),
        ("/a\x00 /b", "control"),
        ("/" + "a" * 5000 + " /b", "longer than"),
    ],
)
def test_a_line_that_is_not_followed_is_reported_with_its_reason(line: str, part: str) -> None:
    assert part in reason(line)


def test_rejections_carry_line_numbers_and_the_other_lines_still_count() -> None:
    parsed = redirects.parse("# one\n/a /b\n/c /d 999\n\n/e /f\n")
    assert [rule.line for rule in parsed.rules] == [2, 5]
    assert [(r.line, r.text) for r in parsed.rejected] == [(3, "/c /d 999")]


def test_bytes_that_are_not_utf8_reject_only_their_line() -> None:
    parsed = redirects.parse(b"/a /b\n/\xff /c\n")
    assert [rule.source for rule in parsed.rules] == ["/a"]
    assert parsed.rejected[0].line == 2


def test_a_file_over_64_kib_is_rejected_whole_and_says_so() -> None:
    parsed = redirects.parse("/a /b\n" + "#" * sitefiles.FILE_BYTES_MAX)
    assert parsed.rules == ()
    assert parsed.rejected[0].line == 0


def test_rules_over_the_limits_are_rejected_not_dropped() -> None:
    exact = redirects.parse("".join(f"/a{n} /b\n" for n in range(redirects.EXACT_RULES_MAX + 3)))
    assert len(exact.rules) == redirects.EXACT_RULES_MAX
    assert [r.line for r in exact.rejected] == [redirects.EXACT_RULES_MAX + n for n in (1, 2, 3)]
    patterns = redirects.parse("".join(f"/a{n}/* /b\n" for n in range(redirects.PATTERN_RULES_MAX + 1)))
    assert len(patterns.rules) == redirects.PATTERN_RULES_MAX
    assert len(patterns.rejected) == 1


def test_many_rejections_are_counted_not_stored() -> None:
    parsed = redirects.parse("x\n" * 5000)
    assert len(parsed.rejected) == sitefiles.REJECTED_MAX + 1
    assert "4800 more" in parsed.rejected[-1].reason


def test_rules_survive_json() -> None:
    rules = redirects.parse(SPEC_EXAMPLE + "/q a=1 b=:c /x/:c 302!\n").rules
    assert redirects.from_json(json.loads(json.dumps(redirects.to_json(rules)))) == rules


def test_two_thousand_rules_cost_little_per_request() -> None:
    text = "".join(f"/p{n}/:x /q/:x\n" for n in range(900)) + "".join(f"/e{n} /f\n" for n in range(1100))
    parsed = redirects.parse(text)
    assert not parsed.rejected
    matcher = Matcher(parsed.rules)
    started = time.perf_counter()
    for _ in range(1000):
        assert matcher.match("/e1099") is not None
        assert matcher.match("/p899/x") is not None
        assert matcher.match("/none/x") is None
    assert (time.perf_counter() - started) / 3000 < 0.000_5  # measured: some 5 µs; a scan of all rules is some 300


@given(st.one_of(st.text(), st.binary(), st.text("/:* =\n#!?ab301\t\\é%")))
def test_parsing_and_matching_never_fail(content: str | bytes) -> None:
    parsed = redirects.parse(content)
    matcher = Matcher(redirects.from_json(redirects.to_json(parsed.rules)))
    for path in ("/", "/a", "/a/b/", "//", "//evil.example/x"):
        match = matcher.match(path, "a=b&c=%zz")
        assert match is None or match.to.startswith("/") or match.is_redirect


@given(st.text(min_size=1), st.text())
def test_a_location_is_plain_ascii_on_this_site_whatever_is_asked(path: str, query: str) -> None:
    matcher = Matcher(redirects.parse("/x/:a/* /y/:a?b=:splat\n/* /:splat 302").rules)
    match = matcher.match("/" + path, query)
    if match is not None:
        assert match.to.isascii()
        assert match.to.isprintable()
        assert " " not in match.to
        assert match.to.startswith("/")
        assert not match.to.startswith(("//", "/\\"))
