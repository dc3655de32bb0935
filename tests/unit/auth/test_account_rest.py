"""The routes of one's own account, as browsers and programs call them."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest

from af.auth.models import SessionKind
from af.core.clock import FixedClock
from af.core.context import Context, Platform
from tests.support import platforms
from tests.support.asgi import AsgiClient, Reply
from tests.unit.auth.mailbox import last_letter
from tests.unit.auth.people import ADA, by_code

PHONE = "+4915112345678"
ROUTES = [
    ("GET", "/account"),
    ("PATCH", "/account"),
    ("DELETE", "/account"),
    ("GET", "/account/export"),
    ("POST", "/account/restore"),
    ("GET", "/account/methods"),
    ("POST", "/account/methods/link"),
    ("POST", "/account/methods/link/verify"),
    ("DELETE", "/account/methods/mth_x"),
    ("POST", "/account/methods/mth_x/set-primary"),
    ("GET", "/account/totp"),
    ("POST", "/account/totp"),
    ("DELETE", "/account/totp"),
    ("POST", "/account/totp/confirm"),
    ("POST", "/account/recovery-codes"),
]
BODIES = {
    "PATCH /account": {"displayName": "x"},
    "DELETE /account": {"confirm": "ada"},
    "POST /account/methods/link": {"method": "email", "email": "new@example.org"},
    "POST /account/methods/link/verify": {"method": "email", "code": "123456", "flow": "x" * 43},
    "DELETE /account/totp": {"code": "123456"},
    "POST /account/totp/confirm": {"code": "123456"},
}
RECENT = [
    ("DELETE", "/account"),
    ("POST", "/account/methods/link"),
    ("DELETE", "/account/methods/mth_x"),
    ("POST", "/account/methods/mth_x/set-primary"),
    ("POST", "/account/totp"),
    ("DELETE", "/account/totp"),
    ("POST", "/account/totp/confirm"),
    ("POST", "/account/recovery-codes"),
]


async def signed_in(platform: Platform, client: AsgiClient, email: str = ADA) -> AsgiClient:
    """A browser with the session of a person who has just proven their address."""
    done = await by_code(platform, email)
    assert done.cookie is not None
    return client.as_cookie(done.cookie)


async def call(client: AsgiClient, method: str, path: str) -> Reply:
    return await client.request(method, path, body=BODIES.get(f"{method} {path}", b""))


def code_of(reply: Reply) -> str:
    code: str = reply.json()["code"]
    return code


async def test_nobody_has_an_account(client: AsgiClient) -> None:
    for method, path in ROUTES:
        reply = await call(client, method, path)
        # A question put by nobody for another purpose is simply over.
        expected = "challenge_over" if path.endswith("/verify") else "unauthenticated"
        assert (reply.status, code_of(reply)) == (401, expected), (method, path)


async def test_an_access_token_is_no_person(client: AsgiClient, ada: Context) -> None:
    holder = client.as_token(await platforms.token(ada))
    for method, path in ROUTES:
        reply = await call(holder, method, path)
        expected = (401, "challenge_over") if path.endswith("/verify") else (403, "person_required")
        assert (reply.status, code_of(reply)) == expected, (method, path)


async def test_the_session_of_a_program_is_a_persons(platform: Platform, client: AsgiClient) -> None:
    done = await by_code(platform, kind=SessionKind.TOKENS)
    assert done.tokens is not None
    reply = await client.as_token(done.tokens.access).get("/account")
    assert reply.json()["user"]["email"] == ADA
    assert reply.headers["cache-control"] == "no-store"


async def test_what_changes_the_ways_in_needs_a_recent_sign_in(
    platform: Platform, client: AsgiClient, clock: FixedClock
) -> None:
    browser = await signed_in(platform, client)
    clock.advance(timedelta(minutes=15))
    assert (await browser.post("/account/totp")).status == 200
    clock.advance(timedelta(seconds=1))
    for method, path in RECENT:
        reply = await call(browser, method, path)
        assert (reply.status, code_of(reply)) == (403, "reauthentication_required"), (method, path)
    for path in ("/account", "/account/methods", "/account/totp", "/account/export"):
        assert (await browser.get(path)).status == 200


async def test_a_change_from_another_site_is_refused(platform: Platform, client: AsgiClient) -> None:
    done = await by_code(platform)
    assert done.cookie is not None
    for origin in (None, "null", "https://evil.example", "http://blog.localhost:8787"):
        elsewhere = client.as_cookie(done.cookie, origin)
        for method, path in ROUTES:
            if method != "GET":
                assert code_of(await call(elsewhere, method, path)) == "cross_origin", (origin, path)


async def test_the_profile_is_read_and_changed(platform: Platform, client: AsgiClient) -> None:
    browser = await signed_in(platform, client)
    changed = await browser.request("PATCH", "/account", body={"displayName": "Ada", "avatarUrl": "ipfs://cid"})
    assert changed.json()["user"]["displayName"] == "Ada"
    assert (await browser.get("/account")).json()["user"]["avatarUrl"] == "ipfs://cid"
    wrongs: list[dict[str, object] | list[object]] = [
        {"email": "x@example.org"},
        {"operator": True},
        {"displayName": 7},
        {"avatarUrl": "data:x"},
        [],
    ]
    for wrong in wrongs:
        assert (await browser.request("PATCH", "/account", body=wrong)).status == 400
    assert (await browser.get("/account")).json()["user"]["email"] == ADA


async def test_a_way_in_is_added_made_primary_and_removed(platform: Platform, client: AsgiClient) -> None:
    browser = await signed_in(platform, client)
    begun = (await browser.post("/account/methods/link", {"method": "sms", "phone": PHONE})).json()
    code = (await last_letter(platform)).code
    added = await browser.post(
        "/account/methods/link/verify", {"method": "sms", "phone": PHONE, "code": code, "flow": begun["flow"]}
    )
    method = added.json()["method"]
    assert (method["type"], method["identifier"], method["isPrimary"]) == ("sms", PHONE, False)
    chosen = await browser.post(f"/account/methods/{method['id']}/set-primary")
    assert chosen.json()["method"]["isPrimary"] is True
    mail = next(m for m in (await browser.get("/account/methods")).json()["methods"] if m["type"] == "email")
    assert (await browser.request("DELETE", f"/account/methods/{mail['id']}")).json() == {"success": True}
    last = await browser.request("DELETE", f"/account/methods/{method['id']}")
    assert (last.status, code_of(last)) == (409, "last_method")


async def test_other_peoples_ways_in_are_not_there(platform: Platform, client: AsgiClient) -> None:
    browser = await signed_in(platform, client)
    mine = (await browser.get("/account/methods")).json()["methods"][0]["id"]
    eve = await signed_in(platform, client, "eve@example.org")
    for id in (mine, "mth_x", "x" * 500, "%00", "..%2f"):
        for method, path in (("DELETE", f"/account/methods/{id}"), ("POST", f"/account/methods/{id}/set-primary")):
            reply = await eve.request(method, path)
            assert reply.status == 404, (method, path)
    assert len((await browser.get("/account/methods")).json()["methods"]) == 1


async def test_what_was_begun_by_one_person_is_not_finished_by_another(platform: Platform, client: AsgiClient) -> None:
    browser = await signed_in(platform, client)
    eve = await signed_in(platform, client, "eve@example.org")
    begun = (await eve.post("/account/methods/link", {"method": "email", "email": "trap@example.org"})).json()
    answer = {"method": "email", "code": (await last_letter(platform)).code, "flow": begun["flow"]}
    reply = await browser.post("/account/methods/link/verify", answer)
    assert (reply.status, code_of(reply)) == (403, "wrong_account")
    assert len((await browser.get("/account/methods")).json()["methods"]) == 1


async def test_a_second_factor_from_setting_up_to_signing_in(
    platform: Platform, client: AsgiClient, clock: FixedClock
) -> None:
    browser = await signed_in(platform, client)
    begun = (await browser.post("/account/totp")).json()
    assert begun["uri"].startswith("otpauth://totp/")
    app = pyotp.TOTP(begun["secret"])
    confirmed = await browser.post("/account/totp/confirm", {"code": app.at(clock.now())})
    codes = confirmed.json()["recoveryCodes"]
    assert (await browser.get("/account/totp")).json() == {"enabled": True, "recoveryCodesLeft": 10}
    clock.advance(timedelta(seconds=30))
    asked = (await client.post("/auth/email/request", {"email": ADA})).json()
    half = await client.post("/auth/email/verify", {"code": (await last_letter(platform)).code, "flow": asked["flow"]})
    assert (half.status, code_of(half)) == (401, "second_factor_required")
    assert "accessToken" not in half.text
    flow = half.json()["flow"]
    assert flow != asked["flow"]
    for wrong in ("", "12345", "٣" * 6, "x" * 5_000):
        assert (await client.post("/auth/second-factor", {"code": wrong, "flow": flow})).status in (400, 401)
    done = await client.post("/auth/second-factor", {"code": codes[0], "flow": flow})
    assert done.json()["user"]["email"] == ADA
    assert (await client.as_token(done.json()["accessToken"]).get("/account")).status == 200
    off = await browser.request("DELETE", "/account/totp", body={"code": app.at(clock.now())})
    assert off.json() == {"success": True}


async def test_the_export_is_a_file_that_is_kept_nowhere_else(platform: Platform, client: AsgiClient) -> None:
    reply = await (await signed_in(platform, client)).get("/account/export")
    assert reply.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json()["user"]["email"] == ADA


async def test_who_is_leaving_may_keep_the_account_or_sign_out_and_nothing_else(
    platform: Platform, client: AsgiClient
) -> None:
    browser = await signed_in(platform, client)
    name = (await browser.get("/account")).json()["user"]["username"]
    assert code_of(await browser.request("DELETE", "/account", body={"confirm": "x"})) == "deletion_not_confirmed"
    left = await browser.request("DELETE", "/account", body={"confirm": name})
    assert left.json()["user"]["deletesAt"] == "2026-01-15T12:00:00.001Z"
    app = await by_code(platform, kind=SessionKind.TOKENS)
    assert app.tokens is not None
    for session in (browser, await signed_in(platform, client), client.as_token(app.tokens.access)):
        allowed = (("GET", "/account"), ("POST", "/account/restore"), ("POST", "/account/methods/link/verify"))
        others = [("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/account/sessions"), ("GET", "/organizations")]
        for method, path in [route for route in ROUTES if route not in allowed] + others:
            sent = {"name": "ci"} if path == "/tokens" and method == "POST" else BODIES.get(f"{method} {path}", b"")
            reply = await session.request(method, path, body=sent)
            assert (reply.status, code_of(reply)) == (403, "account_leaving"), (method, path)
            assert "/account/restore" in reply.json()["hint"]
        assert (await session.get("/account")).json()["user"]["username"] == name
        me = (await session.get("/auth/me")).json()
        assert (me["user"]["deletesAt"] is not None, me["organizations"]) == (True, [])
    assert (await browser.post("/account/restore")).json()["success"] is True
    assert (await browser.get("/account/methods")).status == 200
    assert (await browser.post("/auth/logout")).status == 200
    assert (await browser.get("/account")).status == 401


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"confirm": 1}', b'{"confirm": "ada", "force": true}'])
async def test_a_body_that_does_not_fit_deletes_nothing(platform: Platform, client: AsgiClient, body: bytes) -> None:
    browser = await signed_in(platform, client)
    assert (await browser.request("DELETE", "/account", body=body)).status == 400
    assert (await browser.get("/auth/me")).json()["user"]["deletesAt"] is None
