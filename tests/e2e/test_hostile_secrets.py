"""With a mail server: what of a sign-in is where it does not belong (logs, database, mail headers), wallets, links of
invitations in the wrong hands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.e2e.intruder import FORM, SESSION, Answer, Client
from tests.e2e.platform import Running, running
from tests.support import mail
from tests.support.wallets import KEY, ORDER, OTHER, sign

MANY: dict[str, Any] = {"AF_RATE_PER_MINUTE_ANONYMOUS": "1000000", "AF_RATE_PER_MINUTE": "1000000"}
KEPT: dict[str, str] = {}
"""Every secret that the tests of this module came to know, by what it is."""


@pytest.fixture(scope="module")
def platform(mailpit: mail.Mailpit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    smtp = {"AF_SMTP_URL": mailpit.smtp_url, "AF_MAIL_FROM": "Us <us@example.org>"}
    with running(tmp_path_factory.mktemp("secrets"), **smtp, **MANY) as started:
        yield started


def keep(**secrets: str) -> None:
    for name, value in secrets.items():
        assert value, name
        KEPT[f"{name} {len(KEPT)}"] = value


def read(mailpit: mail.Mailpit, to: str, count: int = 1) -> tuple[str, str, str]:
    """The newest message's code (or ""), the secret of its link, and its text."""
    text = mailpit.wait_for(to, count=count)[0].text
    code, link = re.search(r"^\s+(\d{6})\s*$", text, re.M), re.search(r"https?://\S+", text)
    assert link is not None, text
    query = parse_qs(urlsplit(link[0]).query)
    secret = query["token"][0] if "token" in query else urlsplit(link[0]).path.rpartition("/")[2]
    return code[1] if code else "", secret, text


def person(platform: Running, mailpit: mail.Mailpit, email: str, address: str, *, count: int = 1) -> Client:
    client = Client(platform.port, address)
    asked = client.post("/auth/email/request", {"email": email})
    assert asked.status == 200, asked
    code, link, _ = read(mailpit, email, count)
    done = client.post("/auth/email/verify", {"code": code})
    assert done.status == 200, done
    keep(flow=asked.json()["flow"], link=link, access=done.json()["accessToken"], refresh=done.json()["refreshToken"])
    client.token = done.json()["accessToken"]
    client.cookies.clear()
    return client


# --- wallets ---------------------------------------------------------------------------------------------------------


def challenge(platform: Running, address: str, key: Any = KEY, **claim: str) -> tuple[Client, dict[str, Any]]:
    client = Client(platform.port, address)
    answer = client.post("/auth/wallet/challenge", {"address": key.address, **claim})
    assert answer.status == 200, answer
    return client, answer.json()


def verify(client: Client, message: str, signature: str, key: Any = KEY) -> Answer:
    return client.post("/auth/wallet/verify", {"address": key.address, "signature": signature, "message": message})


def changed(message: str) -> dict[str, str]:
    """The message as somebody else would want it signed."""
    later = (datetime.now(UTC) + timedelta(days=9)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    domain = message.partition(" wants")[0]
    return {
        "another domain": message.replace(f"{domain} wants", "evil.example wants"),
        "another port": message.replace(f"{domain} wants", "localhost wants"),
        "another address of the page": message.replace(f"URI: http://{domain}", "URI: http://evil.example"),
        "another chain": message.replace("Chain ID: 1", "Chain ID: 137"),
        "another nonce": re.sub(r"Nonce: \w+", "Nonce: " + "a" * 32, message),
        "no end": re.sub(r"\nExpiration Time: \S+", "", message),
        "a later end": re.sub(r"Expiration Time: \S+", f"Expiration Time: {later}", message),
        "from tomorrow": message + f"\nNot Before: {later}",
        "another account": message.replace(KEY.address, OTHER.address),
        "another version": message.replace("Version: 1", "Version: 2"),
        "lines of another kind": message.replace("\n", "\r\n"),
        "resources": message + "\nResources:\n- http://evil.example",
        "more behind it": message + "\n",
        "another statement": message.replace("Sign in to", "Pay"),
        "nothing": "",
    }


def test_a_wallet_signs_the_message_that_it_was_given_or_gets_in_nowhere(platform: Running) -> None:
    _, shown = challenge(platform, "127.6.0.1")
    for number, name in enumerate(changed(shown["message"])):
        client, shown = challenge(platform, f"127.6.1.{number + 1}")
        other = changed(shown["message"])[name]
        assert other != shown["message"], name
        answer = verify(client, other, sign(other))
        assert answer.status in (400, 401), (name, answer)
        assert "accessToken" not in answer.json(), name


def test_a_signature_of_another_key_or_shape_gets_in_nowhere(platform: Running) -> None:
    client, shown = challenge(platform, "127.6.0.2")
    good = sign(shown["message"])
    r, s, v = good[2:66], int(good[66:130], 16), int(good[130:], 16)
    bad = {
        "another key's": sign(shown["message"], OTHER),
        "the other half": f"0x{r}{ORDER - s:064x}{(27 + 28) - v:02x}",
        "no recovery": f"0x{r}{s:064x}05",
        "cut": good[:-2],
        "twice": good + good[2:],
        "zeros": "0x" + "0" * 130,
        "nothing": "",
        "no hex": "0x" + "zz" * 65,
    }
    for number, (name, signature) in enumerate(bad.items()):
        client, shown = challenge(platform, f"127.6.2.{number + 1}")
        if name in ("the other half", "no recovery", "cut", "twice"):  # of this very message
            good = sign(shown["message"])
            r, s, v = good[2:66], int(good[66:130], 16), int(good[130:], 16)
            signature = {
                "the other half": f"0x{r}{ORDER - s:064x}{(27 + 28) - v:02x}",
                "no recovery": f"0x{r}{s:064x}05",
                "cut": good[:-2],
                "twice": good + good[2:],
            }[name]
        answer = verify(client, shown["message"], signature)
        assert answer.status in (400, 401), (name, answer)


def test_a_signed_message_works_once_even_for_those_who_come_together(platform: Running) -> None:
    client, shown = challenge(platform, "127.6.0.3")
    signature = sign(shown["message"])

    def answer(number: int) -> int:
        return verify(Client(platform.port, f"127.6.3.{number + 1}"), shown["message"], signature).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(answer, range(4))) in ([200, 401, 401, 401], [401, 401, 401, 401])
    assert verify(client, shown["message"], signature).status in (200, 401)
    assert verify(client, shown["message"], signature).status == 401


def test_nobody_adds_somebody_elses_way_in(platform: Running, mailpit: mail.Mailpit) -> None:
    """Linking takes a way in from nobody, and no link that another account began can be finished."""
    victim = person(platform, mailpit, "victim@example.org", "127.6.0.4")
    thief = person(platform, mailpit, "thief@example.org", "127.6.0.5")
    begun = thief.post("/account/methods/link", {"method": "email", "email": "victim@example.org"})
    assert begun.status in (200, 409), begun
    if begun.status == 200:  # the victim is asked, and even reads the code out
        code, _, _ = read(mailpit, "victim@example.org", 2)
        done = thief.post(
            "/account/methods/link/verify", {"method": "email", "code": code, "flow": begun.json()["flow"]}
        )
        assert done.status == 409, done
    begun = thief.post("/account/methods/link", {"method": "email", "email": "second@example.org"})
    code, _, _ = read(mailpit, "second@example.org")
    values = {"method": "email", "code": code, "flow": begun.json()["flow"]}
    for path in ("/account/methods/link/verify", "/auth/email/verify"):
        answer = victim.post(path, values)
        assert answer.status in (401, 403), (path, answer)
        assert b"accessToken" not in answer.body
    methods = victim.get("/account/methods").json()["methods"]
    assert [each["identifier"] for each in methods] == ["victim@example.org"]


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_lets_in_whom_it_names_as_what_it_says(platform: Running, mailpit: mail.Mailpit) -> None:
    boss = person(platform, mailpit, "boss@example.org", "127.6.0.6")
    team = boss.post("/organizations", {"name": "Circle"}).json()["organization"]["id"]
    path = f"/organizations/{team}/invitations"
    made = boss.post(path, {"email": "guest@example.org", "role": "VIEWER"}).json()["invitation"]["id"]
    _, secret, _ = read(mailpit, "guest@example.org")
    keep(invitation=secret)
    assert secret.encode() not in boss.get(path).body  # CVE-2025-64423: who lists them cannot use them
    eve = person(platform, mailpit, "eve@example.org", "127.6.0.7")
    accept = f"/organizations/invitations/{secret}/accept"
    assert eve.post(accept, {}).status in (403, 404, 409)
    assert eve.get(f"/organizations/{team}").status == 404
    assert b"guest@example.org" not in Client(platform.port).get(f"/organizations/invitations/{secret}").body
    guest = person(platform, mailpit, "guest@example.org", "127.6.0.8", count=2)
    done = guest.post(accept, {"role": "OWNER", "organizationId": team, "accessAllProjects": True})
    assert done.status == 200, done
    assert guest.post(accept, {}).status in (404, 409, 410)
    own = guest.get("/auth/me").json()
    assert next(each["role"] for each in own["organizations"] if each["id"] == team) == "VIEWER"
    user = own["user"]["id"]
    for method, where, body in (
        ("GET", path, None),
        ("POST", path, {"email": "friend@example.org", "role": "OWNER"}),
        ("PATCH", f"/organizations/{team}/members/{user}", {"role": "OWNER"}),
        ("POST", f"/organizations/{team}/transfer", {"userId": user}),
        ("POST", f"/organizations/invitations/{made}/resend", {}),
    ):
        answer = guest.post(where, body) if method == "POST" else guest.ask(method, where, b'{"role":"OWNER"}')
        assert answer.status in (403, 404), (method, where, answer)


def test_an_admin_makes_nobody_an_owner(platform: Running, mailpit: mail.Mailpit) -> None:
    boss = person(platform, mailpit, "owner@example.org", "127.6.0.9")
    team = boss.post("/organizations", {"name": "Ladder"}).json()["organization"]["id"]
    path = f"/organizations/{team}/invitations"
    assert boss.post(path, {"email": "admin@example.org", "role": "ADMIN"}).status == 201
    _, secret, _ = read(mailpit, "admin@example.org")
    admin = person(platform, mailpit, "admin@example.org", "127.6.0.10", count=2)
    assert admin.post(f"/organizations/invitations/{secret}/accept", {}).status == 200
    for role in ("OWNER", "owner", "ROOT", "", "OPERATOR"):
        answer = admin.post(path, {"email": "second@example.com", "role": role})
        assert answer.status in (400, 403), (role, answer)
    user, owner = (each.get("/auth/me").json()["user"]["id"] for each in (admin, boss))
    for who, body in ((user, b'{"role":"OWNER"}'), (owner, b'{"role":"VIEWER"}')):
        assert admin.ask("PATCH", f"/organizations/{team}/members/{who}", body).status == 403
    assert admin.delete(f"/organizations/{team}/members/{owner}").status == 403
    assert admin.post(f"/organizations/{team}/transfer", {"userId": user}).status == 403


# --- mail ------------------------------------------------------------------------------------------------------------

NAMES = [
    "Team\r\nBcc: evil@example.org",
    "Team\nSubject: free money",
    "=?utf-8?q?x=0aBcc:_evil@example.org?=",
    "a" * 100,
    "<script>alert(1)</script><a href=http://evil.example>",
    "\u202eevil",
    "x\x0b\x0c\x85y",
]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_name_writes_no_header_and_no_markup(platform: Running, mailpit: mail.Mailpit, number: int) -> None:
    boss = person(platform, mailpit, f"namer{number}@example.org", f"127.6.4.{number + 1}")
    boss.ask("PATCH", "/account", f'{{"displayName": {_json(NAMES[number])}}}'.encode())
    made = boss.post("/organizations", {"name": NAMES[number]})
    team = made.json()["organization"]["id"] if made.status == 201 else None
    if team is None:
        assert made.status == 400, made
        team = boss.post("/organizations", {"name": "Plain"}).json()["organization"]["id"]
    to = f"invited{number}@example.org"
    assert boss.post(f"/organizations/{team}/invitations", {"email": to, "role": "VIEWER"}).status == 201
    (found,) = mailpit.wait_for(to)
    assert found.recipients == (to,)
    assert "Bcc" not in found.headers
    assert len(found.headers["Subject"]) == len(found.headers["To"]) == len(found.headers["From"]) == 1
    assert "<script" not in found.html
    assert "href=http://evil" not in found.html
    assert not mailpit.messages("evil@example.org")


def _json(text: str) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'


# --- what is left behind ---------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_log_or_in_the_data(platform: Running, mailpit: mail.Mailpit) -> None:
    """The last test here: after all the sign-ins above, and one by page, link, cookie and refresh."""
    browser, email = Client(platform.port, "127.6.0.11"), "page@example.org"
    form = urlencode({"method": "email", "email": email}).encode()
    assert browser.ask("POST", "/login", form, kind=FORM).status == 303
    code, link, _ = read(mailpit, email)
    keep(page_flow=browser.cookies["__Host-af_flow"], page_link=link)
    assert browser.get(f"/auth/email/link?token={link}").status == 200
    done = browser.ask("POST", "/auth/email/link", urlencode({"token": link}).encode(), kind=FORM)
    assert done.status == 303, done
    keep(cookie=browser.cookies[SESSION])
    client = person(platform, mailpit, "left@example.org", "127.6.0.12")
    refreshed = Client(platform.port).post("/auth/refresh", {"refreshToken": KEPT[f"refresh {len(KEPT) - 1}"]}).json()
    keep(access=refreshed["accessToken"], refresh=refreshed["refreshToken"])
    keep(pat=client.post("/tokens", {"name": "left"}).json()["token"]["token"])
    device = client.post("/auth/cli/start", {}).json()
    keep(poll=device["pollSecret"])
    for path in ("/auth/me", "/login", "/auth/oauth/callback/x"):  # secrets where they do not belong
        client.get(f"{path}?token={KEPT['cookie ' + _number('cookie')]}&code={code}")
    log = platform.process.output()
    assert '"request"' in log
    assert not {name for name, secret in KEPT.items() if secret in log}
    assert f'"{code}"' not in log
    assert f" {code}\\n" not in log
    seen = 0
    for path in (platform.config.parent / "data").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            seen += len(content)
            assert not {name for name, secret in KEPT.items() if secret.encode() in content}, path
    assert seen > 100_000


def _number(name: str) -> str:
    return next(key.rpartition(" ")[2] for key in KEPT if key.startswith(f"{name} "))
