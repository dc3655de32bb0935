"""What another site can do to somebody's browser: forms, frames, redirects, caches, cookies."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from starlette.routing import Route

from af.pages.routes import routes as page_routes
from af.server.targets import rest_routes
from tests.e2e.intruder import FLOW, FORM, SESSION, Answer, Client, letter, sign_in
from tests.e2e.platform import Running, running

SETTINGS: dict[str, Any] = {
    "AF_RATE_PER_MINUTE_ANONYMOUS": "1000000",
    "AF_RATE_PER_MINUTE": "1000000",
    "AF_OAUTH_GITHUB_CLIENT_ID": "client",
    "AF_OAUTH_GITHUB_CLIENT_SECRET": "secret",
    "AF_ALLOWED_REDIRECT_ORIGINS": "https://good.example",
}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("browser"), **SETTINGS) as started:
        yield started


@pytest.fixture(scope="module")
def visitor(platform: Running) -> Client:
    return sign_in(platform, "visitor@example.org", "127.4.0.1", cookie=True)


def every(*methods: str, routes: list[Any]) -> list[tuple[str, str]]:
    """All routes of these methods, their parameters filled."""
    found = []
    for route in routes:
        assert isinstance(route, Route)
        path = re.sub(r"\{(\w+)(:path)?\}", r"\1", route.path)
        found += [(method, path) for method in sorted(route.methods or ()) if method in methods]
    return found


REST = rest_routes()
PAGES = page_routes()


# --- forms of another site -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), every(*UNSAFE, routes=[*REST, *PAGES]), ids=" ".join)
def test_another_site_changes_nothing_with_the_visitors_cookie(
    platform: Running, visitor: Client, method: str, path: str
) -> None:
    port = platform.port
    near = (f"http://localhost:{port}.evil.example", f"http://a.localhost:{port}", f"https://localhost:{port}")
    for origin in (None, "", "null", "http://evil.example", "http://localhost", *near):
        for kind in ("text/plain", FORM, "application/json"):
            browser = Client(platform.port, "127.4.0.2", cookies=dict(visitor.cookies))
            answer = browser.ask(method, path, b'{"a":"="}', kind=kind, origin=origin)
            assert answer.status == 403, (origin, kind, answer)
            assert not answer.cookies, (origin, kind, answer)
    assert visitor.get("/auth/me").status == 200


def test_a_hosts_own_name_is_no_permission(platform: Running, visitor: Client) -> None:
    """DNS rebinding: the name of another site leads to us, and its pages are of its own origin."""
    for host in ("evil.example", "127.0.0.1", "uploads.localhost", "a.localhost", "localhost.evil.example"):
        browser = Client(platform.port, "127.4.0.3", cookies=dict(visitor.cookies))
        own = f"http://{host}:{platform.port}"
        assert b"visitor@example.org" not in browser.ask("GET", "/auth/me", host=host).body
        answer = browser.ask("DELETE", "/account/sessions", host=host, origin=own)
        assert answer.status in (401, 403, 404, 405), (host, answer)
        login = browser.ask("POST", "/auth/email/verify", b'{"session":"cookie","code":"1"}', host=host, origin=own)
        assert login.status in (401, 403, 404, 405), (host, login)
        assert not login.sets(SESSION)


def test_no_answer_lets_another_origin_read_it(platform: Running, visitor: Client) -> None:
    for method, path in every("GET", routes=[*REST, *PAGES]):
        if path.endswith("/events"):
            continue
        answer = visitor.get(path, Origin="http://evil.example")
        allowed = answer.headers.get("access-control-allow-origin", "")
        assert allowed in ("", "*"), (method, path, answer.headers)
        assert "access-control-allow-credentials" not in answer.headers, path
        assert allowed == "" or path == "/.well-known/jwks.json", path
    for origin in ("http://evil.example", "null", "https://good.example.evil.example", "https://good.example:444"):
        answer = visitor.ask("OPTIONS", "/auth/exchange", origin=origin, Access_Control_Request_Method="POST")
        assert "access-control-allow-origin" not in answer.headers, origin
    shared = visitor.ask("OPTIONS", "/auth/exchange", origin="https://good.example").headers
    assert shared["access-control-allow-origin"] == "https://good.example"


# --- frames, caches, sniffing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed_in", [False, True])
def test_every_page_is_guarded(platform: Running, visitor: Client, signed_in: bool) -> None:
    browser = visitor if signed_in else Client(platform.port, "127.4.0.4")
    pages = [path for _, path in every("GET", routes=PAGES) if not path.startswith("/assets")]
    for path in [*pages, "/", "/auth/link?token=x", "/settings", "/login/unknown", "/settings/absent"]:
        answer = browser.get(path, Accept="text/html")
        if answer.status in (302, 303):
            assert answer.headers["location"].startswith("/"), path
            assert "no-store" in answer.headers["cache-control"], path
            continue
        if "html" not in answer.headers["content-type"]:
            assert answer.status == 404, (path, answer)
            continue
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy, path
        assert "default-src 'none'" in policy, path
        assert "unsafe-" not in policy, path
        assert "base-uri 'none'" in policy, path
        assert "form-action" in policy, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer"), path
        text = answer.body.decode()
        for script in re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", text, re.S):
            assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy, path
        assert re.search(r"\son\w+=|javascript:", text) is None, path
        if path != "/":
            assert "no-store" in answer.headers["cache-control"], path


AUTH = ("/auth", "/account", "/tokens", "/organizations")


def test_no_cache_keeps_what_is_about_somebody(platform: Running, visitor: Client) -> None:
    for _, path in every("GET", routes=REST):
        if not path.startswith(AUTH) or path in ("/auth/methods", "/auth/oauth/providers"):
            continue
        answer = visitor.get(path)
        if answer.status < 400:
            assert "no-store" in answer.headers.get("cache-control", ""), path


def test_cookies_are_of_this_host_secure_and_out_of_reach_of_scripts(platform: Running) -> None:
    client = Client(platform.port, "127.4.0.5")
    asked = client.post("/auth/email/request", {"email": "flags@example.org"})
    code = letter(platform, "flags@example.org").code
    done = client.post("/auth/email/verify", {"code": code, "session": "cookie"})
    out = client.post("/auth/logout", {})
    lines = [*asked.cookies, *done.cookies, *out.cookies]
    assert len(lines) >= 4
    for line in lines:
        parts = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"httponly", "secure", "path=/", "samesite=lax"} <= parts, line
        assert not any(part.startswith("domain") for part in parts), line
        assert line.startswith("__Host-"), line
    assert SESSION not in client.cookies
    assert FLOW not in client.cookies


# --- redirects -------------------------------------------------------------------------------------------------------

ELSEWHERE = [
    "http://evil.example", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "/\t/evil.example",
    "/%09/evil.example", "https:evil.example", "http:/evil.example", "javascript:alert(1)", "data:text/html,x",
    "http://localhost:{port}@evil.example", "http://localhost:{port}.evil.example",
    "http://localhost:{port}\\@evil.example",
    "//localhost:{port}@evil.example/", "/login/..//evil.example", "/login//evil.example", "/..//evil.example",
    "/login/%2e%2e//evil.example", "http://127.0.0.1:80@evil.example", "http://127.0.0.1.evil.example:80",
    "https://good.example@evil.example", "https://good.example.evil.example", "https://good.example:444/evil.example",
    "HTTPS://EVIL.EXAMPLE", "http://evil。example", "/login?x=\r\nLocation: http://evil.example", " //evil.example",
    "http://[::1]@evil.example", "http://localhost:1/evil.example", "\u2028//evil.example", "/login\x00//evil.example",
]  # fmt: skip
PARAMETERS = (
    "return_to",
    "redirect_url",
    "redirectUri",
    "redirect_uri",
    "redirect",
    "next",
    "url",
    "continue",
    "error",
)


def leads_away(platform: Running, answer: Answer) -> bool:
    """Whether a browser would leave for another host (but the provider's own)."""
    target = answer.headers.get("location", "")
    if re.match(r"[\x00-\x20]*[/\\][\x00-\x20]*[/\\]", target):
        return True
    host = urlsplit(target).netloc
    return host not in ("", f"localhost:{platform.port}", "github.com") or "\\" in target or "\n" in target


@pytest.mark.parametrize("target", ELSEWHERE, ids=range(len(ELSEWHERE)))
def test_no_parameter_leads_to_another_site(platform: Running, visitor: Client, target: str) -> None:
    target = target.format(port=platform.port)
    number = ELSEWHERE.index(target) if target in ELSEWHERE else len(target) % 200
    query = urlencode(dict.fromkeys(PARAMETERS, target))
    stranger = Client(platform.port, f"127.4.1.{number + 1}")
    for browser in (visitor, stranger):
        for path in ("/login", "/login/code", "/auth/link", "/auth/email/link", "/settings", "/auth/oauth/continue",
                     "/auth/oauth/github", "/auth/oauth/callback/github"):  # fmt: skip
            for accept in ("text/html", "application/json"):
                answer = browser.get(f"{path}?{query}", Accept=accept)
                assert not leads_away(platform, answer), (path, answer.headers["location"])
                assert b"evil" not in answer.body.lower() or "html" not in answer.headers["content-type"], path
                assert answer.status < 500, (path, answer)
    for path, values in (
        ("/login", {"method": "email", "email": f"r{number}@example.org"}),
        ("/auth/link", {"token": "x" * 43}),
        ("/auth/logout", {}),
    ):
        fields = {**dict.fromkeys(PARAMETERS, target), **values}
        answer = stranger.ask("POST", f"{path}?{query}", urlencode(fields).encode(), kind=FORM)
        assert not leads_away(platform, answer), (path, answer.headers["location"])
    asked = stranger.cookies.get("__Host-af_asked", "")
    assert "evil.example" not in asked or quote(target, safe="") not in asked


def test_a_sign_in_ends_where_it_began_or_at_home(platform: Running) -> None:
    """The target that the form carried, after the code was right."""
    for number, (target, ends) in enumerate(
        [("/settings", "/settings"), ("//evil.example", "/"), ("http://evil.example", "/"), ("/auth/logout", "/")]
    ):
        browser, email = Client(platform.port, f"127.4.2.{number + 1}"), f"ends{number}@example.org"
        fields = {"method": "email", "email": email, "return_to": target}
        assert browser.ask("POST", "/login", urlencode(fields).encode(), kind=FORM).status == 303
        before, mine = dict(browser.cookies), browser.cookies["__Host-af_asked"]
        for spoilt in (f"{mine}&r=%2F%2Fevil.example", "m=email", "%00" * 900, "m=email&a=%00&r=//evil.example&p=x"):
            browser.cookies["__Host-af_asked"] = spoilt
            assert browser.ask("POST", "/login/code", b"code=000000", kind=FORM).headers["location"] == "/login"
        browser.cookies = before
        form = urlencode({"code": letter(platform, email).code, "return_to": target}).encode()
        answer = browser.ask("POST", "/login/code", form, kind=FORM)
        assert answer.headers["location"] == ends, answer
        assert answer.sets(SESSION)


@pytest.mark.parametrize(
    "address",
    ["http://evil.example/x", "http://127.0.0.1@evil.example:1/x", "http://localhost:1/x", "https://127.0.0.1:1/x",
     "http://127.0.0.1.evil.example:1/", "http://127.0.0.1:1#@evil.example", "javascript://127.0.0.1:1/%0aalert(1)",
     "http://[::ffff:1.2.3.4]:1/", "http://2130706433:1/", "http://127.1:1/", "custom://127.0.0.1:1/",
     "http://127.0.0.1:1/\r\nX: y", "http://127.0.0.1:99999/", "http://0.0.0.0:1/", "http://user@127.0.0.1:1/"],
)  # fmt: skip
def test_a_device_names_nothing_but_its_own_machine(platform: Running, address: str) -> None:
    client = Client(platform.port, f"127.4.3.{len(address)}")
    answer = client.post("/auth/cli/start", {"redirectUri": address, "codeChallenge": "A" * 43})
    assert answer.status == 400, answer
