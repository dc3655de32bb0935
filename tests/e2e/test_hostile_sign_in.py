"""Signing in against somebody who wants in: other browsers, other origins, guesses, replays, broken bodies."""

from __future__ import annotations

import concurrent.futures
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.routing import Route

from af.server.targets import rest_routes
from tests.e2e.intruder import FLOW, FORM, SESSION, Answer, Client, letter, letters, sign_in
from tests.e2e.platform import Running, running

MANY: dict[str, Any] = {"AF_RATE_PER_MINUTE_ANONYMOUS": "1000000", "AF_RATE_PER_MINUTE": "1000000"}
FOREIGN = [
    None,
    "null",
    "http://evil.example",
    "https://localhost:{port}",
    "http://localhost",
    "http://a.localhost:{port}",
]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("sign-in"), **MANY) as started:
        yield started


def asked(platform: Running, email: str, address: str) -> tuple[Client, str]:
    """A browser that asked for a code, and the code."""
    client = Client(platform.port, address)
    before = len(letters(platform, email))
    assert client.post("/auth/email/request", {"email": email}).status == 200
    return client, letter(platform, email, before + 1).code


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def refused(answer: Answer) -> bool:
    return answer.status in (400, 401, 403) and not answer.sets(SESSION) and b"accessToken" not in answer.body


# --- whose browser, whose page ---------------------------------------------------------------------------------------


def test_a_code_is_worth_nothing_in_another_browser(platform: Running) -> None:
    victim, code = asked(platform, "ann@example.org", "127.0.1.1")
    thief = Client(platform.port, "127.0.1.2")
    for values in (
        {"email": "ann@example.org", "code": code},
        {"code": code, "flow": ""},
        {"code": code, "flow": "x" * 43},
    ):
        assert refused(thief.post("/auth/email/verify", values))
    link = letter(platform, "ann@example.org").link
    token = parse_qs(urlsplit(link).query)["token"][0]
    form = urlencode({"token": token}).encode()
    assert refused(thief.ask("POST", "/auth/email/link", form, kind=FORM))
    assert refused(thief.post("/auth/email/verify", {"token": token}))
    assert victim.post("/auth/email/verify", {"code": code}).status == 200


def test_the_code_of_a_sign_in_that_somebody_else_began_does_not_finish_it(platform: Running) -> None:
    """The thief asks with the victim's address; the victim types the code that came where they had asked before."""
    victim, own = asked(platform, "bob@example.org", "127.0.1.3")
    thief, stolen = asked(platform, "bob@example.org", "127.0.1.4")
    if own != stolen:
        assert refused(victim.post("/auth/email/verify", {"code": stolen}))
    assert victim.post("/auth/email/verify", {"code": own}).status == 200
    assert refused(thief.post("/auth/email/verify", {"code": wrong(stolen)}))


def test_a_session_cookie_from_before_is_not_the_one_after(platform: Running) -> None:
    """Session fixation: whatever cookie the browser brings, the sign-in gives a fresh one."""
    intruder = sign_in(platform, "eve@example.org", "127.0.1.5", cookie=True)
    planted = intruder.cookies[SESSION]
    victim, code = asked(platform, "ida@example.org", "127.0.1.6")
    for before in (planted, "f" * 43):
        victim.cookies[SESSION] = before
        victim.cookies.pop(FLOW, None)
        sent = len(letters(platform, "ida@example.org"))
        assert victim.post("/auth/email/request", {"email": "ida@example.org"}).status == 200
        code = letter(platform, "ida@example.org", sent + 1).code
        done = victim.post("/auth/email/verify", {"code": code, "session": "cookie"})
        assert done.status == 200, done.body
        assert victim.cookies[SESSION] != before
        assert Client(platform.port, cookies={SESSION: "f" * 43}).get("/auth/me").status == 401
    assert intruder.get("/auth/me").json()["user"]["email"] == "eve@example.org"


def test_a_planted_flow_cannot_be_used_by_who_planted_it_once_it_is_over(platform: Running) -> None:
    thief = Client(platform.port, "127.0.1.7")
    victim, code = asked(platform, "flo@example.org", "127.0.1.8")
    flow = victim.cookies[FLOW]
    assert victim.post("/auth/email/verify", {"code": code}).status == 200
    assert FLOW not in victim.cookies
    assert refused(thief.post("/auth/email/verify", {"code": code, "flow": flow}))


@pytest.mark.parametrize("origin", FOREIGN)
def test_no_page_of_another_origin_signs_a_visitor_in(platform: Running, origin: str | None) -> None:
    """Login CSRF: the intruder's own code and flow, sent by the visitor's browser as a form or a script would."""
    intruder, code = asked(platform, f"csrf{FOREIGN.index(origin)}@example.org", "127.0.1.9")
    sent = origin and origin.format(port=platform.port)
    flow = intruder.cookies[FLOW]
    values = {"flow": flow, "code": code, "session": "cookie", "method": "email", "": "="}
    for path in ("/auth/email/verify", "/account/methods/link/verify"):
        visitor = Client(platform.port, "127.0.1.10")
        for kind in ("text/plain", "application/json"):
            answer = visitor.post(path, values, kind=kind, origin=sent)
            assert not answer.sets(SESSION), (path, answer)
            assert answer.status in (401, 403), (path, answer)
    token = parse_qs(urlsplit(letter(platform, f"csrf{FOREIGN.index(origin)}@example.org").link).query)["token"][0]
    for path, fields in (
        ("/auth/email/link", {"token": token}),
        ("/login/code", {"code": code}),
        ("/login", {"method": "email", "email": "x@example.org"}),
        ("/auth/link", {"token": "x" * 43}),
    ):
        visitor = Client(platform.port, "127.0.1.10", cookies={FLOW: flow})
        answer = visitor.ask("POST", path, urlencode(fields).encode(), kind=FORM, origin=sent)
        assert answer.status == 403, (path, answer)
        assert not answer.cookies, path


def test_adding_a_way_in_finishes_no_sign_in(platform: Running) -> None:
    """Else a session would be opened where nobody looked at the origin."""
    client, code = asked(platform, "lia@example.org", "127.0.1.11")
    values = {"method": "email", "code": code, "flow": client.cookies[FLOW]}
    assert refused(client.post("/account/methods/link/verify", values))


# --- guesses ---------------------------------------------------------------------------------------------------------


def test_ten_thousand_guesses_end_after_a_handful(platform: Running) -> None:
    """Many clients at many addresses guess one person's code. What is answered is one of 25 codes tried at most."""
    victim = "target@example.org"
    verdicts: list[int] = []
    codes: set[str] = set()

    def guess(number: int) -> list[int]:
        client = Client(platform.port, f"127.2.{number // 200}.{number % 200 + 1}")
        begun = client.post("/auth/email/request", {"email": victim.upper() if number % 2 else f" {victim} "})
        found = [begun.status]
        for attempt in range(25):
            answer = client.post("/auth/email/verify", {"code": f"{(number * 25 + attempt) % 10**6:06}"})
            found.append(answer.status)
            if answer.status == 200:
                codes.add("hit")
        return found

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for found in pool.map(guess, range(40)):  # 40 x 25: the rest of 10,000 is refused the same way
            verdicts += found
    assert verdicts.count(200) <= 5 + len(codes), verdicts.count(200)
    assert len(letters(platform, victim)) <= 5
    assert 429 in verdicts
    assert 500 not in verdicts


def test_of_parallel_guesses_only_five_are_looked_at(platform: Running) -> None:
    client, code = asked(platform, "race@example.org", "127.0.1.12")
    guesses = [wrong(code)] * 12

    def attempt(number: int) -> str:
        own = Client(platform.port, f"127.0.2.{number + 1}", cookies=dict(client.cookies))
        return own.post("/auth/email/verify", {"code": guesses[number]}).code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        verdicts = list(pool.map(attempt, range(12)))
    assert verdicts.count("wrong_proof") == 5, verdicts
    assert refused(client.post("/auth/email/verify", {"code": code}))  # the right one comes too late


def test_of_parallel_right_answers_one_gets_in(platform: Running) -> None:
    client, code = asked(platform, "twice@example.org", "127.0.1.13")

    def attempt(number: int) -> int:
        own = Client(platform.port, f"127.0.3.{number + 1}", cookies=dict(client.cookies))
        return own.post("/auth/email/verify", {"code": code}).status

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(attempt, range(5))) == [200, 401, 401, 401, 401]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"])
def test_a_header_does_not_make_another_address(platform: Running, header: str) -> None:
    number = sum(header.encode()) % 250
    statuses = []
    for turn in range(65):  # 60 answers in a quarter of an hour
        client = Client(platform.port, f"127.3.0.{number}")
        value = f"for=10.0.0.{turn}" if header == "Forwarded" else f"10.0.0.{turn}"
        answer = client.post("/auth/email/verify", {"code": "000000"}, **{header.replace("-", "_"): value})
        statuses.append(answer.status)
    assert statuses[0] == 401
    assert 429 in statuses, statuses


# --- who has an account ----------------------------------------------------------------------------------------------


def test_an_unknown_address_is_answered_like_a_known_one(platform: Running) -> None:
    sign_in(platform, "known@example.org", "127.0.1.14")
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    shapes = set()
    for turn in range(4):
        for kind in times:
            email = "known@example.org" if kind == "known" else f"unknown{turn}@example.org"
            client = Client(platform.port, "127.0.1.15")
            began = time.monotonic()
            answer = client.post("/auth/email/request", {"email": email})
            times[kind].append(time.monotonic() - began)
            body = answer.json()
            shapes.add((answer.status, tuple(sorted(body)), body["message"], body["expiresIn"], len(body["flow"])))
            headers = set(answer.headers) - {"date"}
            shapes.add(tuple(sorted(headers)))  # type: ignore[arg-type]
            refusal = client.post("/auth/email/verify", {"code": "abcdef"}).json()
            refusal.pop("requestId")
            shapes.add(json.dumps(refusal, sort_keys=True))  # type: ignore[arg-type]
    assert len(shapes) == 3, shapes
    slow, fast = sorted((statistics.median(times["known"]), statistics.median(times["unknown"])), reverse=True)
    assert slow < 10 * fast + 0.1, times  # a look-up that only known addresses pay for would be seen; noise not


def test_every_dead_end_of_a_sign_in_says_the_same(platform: Running) -> None:
    """Used, never begun, begun elsewhere, all attempts made: one text, so nothing can be learnt."""
    client, code = asked(platform, "same@example.org", "127.0.1.16")
    flow = client.cookies[FLOW]
    for _ in range(5):
        client.post("/auth/email/verify", {"code": wrong(code)})
    done, right = asked(platform, "done@example.org", "127.0.1.17")
    used = done.cookies[FLOW]
    assert done.post("/auth/email/verify", {"code": right}).status == 200
    said = set()
    for attempt in (flow, used, "A" * 43, "", "x" * 5000):
        answer = Client(platform.port, "127.0.1.18").post("/auth/email/verify", {"code": right, "flow": attempt}).json()
        answer.pop("requestId")
        said.add(json.dumps(answer, sort_keys=True))
    assert len(said) == 1, said


# --- what is sent ----------------------------------------------------------------------------------------------------

ADDRESSES = [
    "a@example.org\r\nBcc: evil@example.org",
    "a@example.org\nBcc: evil@example.org",
    "a@example.org%0aBcc:x@example.org",
    "a@example.org, evil@example.org",
    "a@example.org;evil@example.org",
    "<a@example.org>",
    "A <a@example.org>",
    '"a b"@example.org',
    "a@example.org\x00",
    "a\u202e@example.org",
    "a@localhost:25",
    "a@[127.0.0.1]",
    "a@@example.org",
    "a@example",
    "@example.org",
    "a@" + "e" * 300 + ".org",
    "a" * 65 + "@example.org",
    "a@example.org\u2028x",
    "-f@-example.org",
    "a@example..org",
    "",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=range(len(ADDRESSES)))
def test_what_is_no_plain_address_gets_no_message(platform: Running, address: str) -> None:
    client = Client(platform.port, f"127.0.4.{ADDRESSES.index(address) + 1}")
    answer = client.post("/auth/email/request", {"email": address})
    assert answer.status == 400, answer
    assert not answer.sets(FLOW)


LOOKALIKES = [
    "adm\u0456n@e{}.org",
    "admin@\u0435{}.org",
    "\uff41dmin@e{}.org",
    "admi\u0131n@e{}.org",
    "admin@e{}\u3002org",
]


@pytest.mark.parametrize("number", range(len(LOOKALIKES)))
def test_a_lookalike_is_never_somebody_elses_account(platform: Running, number: int) -> None:
    """Where the message goes is where the proof comes from: either the account's very address, or another account."""
    own = f"admin@e{number}.org"
    owner = sign_in(platform, own, f"127.0.7.{number + 1}").get("/auth/me").json()["user"]["id"]
    client = Client(platform.port, f"127.0.7.{number + 100}")
    answer = client.post("/auth/email/request", {"email": LOOKALIKES[number].format(number)})
    if answer.status == 400:
        return
    to = answer.json()["email"]
    code = letter(platform, to, 2 if to == own else 1).code
    done = client.post("/auth/email/verify", {"code": code})
    assert done.status == 200, done
    assert (done.json()["user"]["id"] == owner) == (to == own)


# --- bodies ----------------------------------------------------------------------------------------------------------

BODIES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"\xff\xfe{}",
    b"\x00" * 10,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"email":' + b"[" * 30_000,
    b'{"email":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"email":"' + b"a" * 200_000 + b'"}',
    b'{"email":"\\ud800@example.org"}',
    b'{"code":"\\u0000","flow":"\\u0000","refreshToken":"\\u0000","token":"\\u0000","address":"\\u0000","method":"\\u0000"}',
    b'{"email":{},"phone":[],"address":1,"code":{},"flow":[],"message":{},"signature":1,"credential":"x","method":"email"}',
    b'{"email":1e999,"phone":-0,"code":123456,"flow":1,"refreshToken":null,"token":5,"pollSecret":[],"userCode":{}}',
    b'{"credential":{"id":"x","rawId":"\xc3\xa9","type":"public-key","response":{"clientDataJSON":"!!","signature":1}}}',
    b'{"address":"0x' + b"0" * 40 + b'","message":"x","signature":"0x' + b"z" * 130 + b'","chainId":"-1"}',
    b'{"method":"passkey","credential":{"id":"eA","rawId":"eA","type":"public-key","response":{}}}',
    b'{"displayName":"\\u0000","avatarUrl":"\\u0000","name":"\\u0000","organizationId":"\\u0000","userId":"\\u0000","role":"\\u0000"}',
    b'{"name":"' + b"\xf0\x9f\x98\x80" * 500 + b'","expiresAt":1e300}',
    b'{"name":"x","expiresAt":-99999999999999999}',
    b'{"name":"x","expiresAt":99999999999999999999999999}',
]


def _changing() -> list[tuple[str, str]]:
    found = []
    for route in rest_routes():
        assert isinstance(route, Route)
        if route.path.startswith(("/auth", "/account", "/tokens", "/organizations", "/v1/organizations")):
            found += [
                (method, route.path)
                for method in sorted(route.methods or ())
                if method not in ("GET", "HEAD", "OPTIONS")
            ]
    return found


@pytest.mark.parametrize(("method", "path"), _changing(), ids=" ".join)
def test_no_body_is_too_broken_to_be_refused(platform: Running, method: str, path: str) -> None:
    """Without credentials, and as somebody: an answer of 4xx (or success where the body does not matter), never 5xx."""
    number = _changing().index((method, path))
    filled = path.replace(":path", "").replace("{", "").replace("}", "")
    for person in (Client(platform.port, f"127.0.5.{number + 1}"), _member(platform)):
        for body in BODIES:
            answer = person.ask(method, filled, body)
            assert answer.status < 500 or answer.status == 501, (body[:60], answer.status, answer.body[:200])
            if answer.status >= 400 and path != "/tokens/validate":  # whose shape is the original's
                assert answer.headers["content-type"].split(";")[0] in ("application/problem+json", "text/html"), body[
                    :60
                ]


_members: dict[int, Any] = {}


def _member(platform: Running) -> Client:
    """Somebody new each time one was signed out, or deleted their account, by what was sent before."""
    known: Client | None = _members.get(platform.port)
    if known is None or known.get("/auth/me").status != 200:
        known = _members[platform.port] = sign_in(
            platform, f"m{len(_members)}.{time.monotonic_ns()}@example.org", "127.0.6.1"
        )
    return known
