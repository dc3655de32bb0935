"""Letting a device in by its page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest

from tests.support.visitor import Visitor
from tests.unit.pages.conftest import PostOffice, sign_in

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture
async def ada(visitor: Visitor, post_office: PostOffice) -> Visitor:
    await sign_in(visitor, post_office, "ada@example.org")
    return visitor


async def test_a_device_is_let_in_once_the_codes_are_compared(ada: Visitor) -> None:
    begun = (await ada.client.post("/auth/cli/start", {"name": "laptop <b>"})).json()
    page = f"/login/{begun['verificationSessionId']}"
    reply = await ada.open(page)
    assert begun["userCode"] in ada.text
    assert "laptop &lt;b&gt;" in reply.text
    await ada.send(page, decision="approve")
    assert "The device is in" in ada.text
    asked = {"verificationSessionId": begun["verificationSessionId"], "pollSecret": begun["pollSecret"]}
    tokens = (await ada.client.post("/auth/cli/poll", asked)).json()
    me = await ada.client.as_token(tokens["accessToken"]).get("/auth/me")
    assert me.json()["user"]["email"] == "ada@example.org"
    assert (await ada.open(page)).status >= 400, "it is answered once"


async def test_a_program_on_this_machine_gets_its_answer_by_the_browser(ada: Visitor) -> None:
    asked = {"redirectUri": "http://127.0.0.1:4321/done", "codeChallenge": CHALLENGE}
    begun = (await ada.client.post("/auth/cli/start", asked)).json()
    page = f"/login/{begun['verificationSessionId']}"
    await ada.open(page)
    reply = await ada.send(page, decision="approve")
    assert 'href="http://127.0.0.1:4321/done?code=' in reply.text


async def test_a_refused_device_is_told(ada: Visitor) -> None:
    begun = (await ada.client.post("/auth/cli/start", {})).json()
    page = f"/login/{begun['verificationSessionId']}"
    await ada.open(page)
    await ada.send(page, decision="deny")
    assert "Refused" in ada.text
    asked = {"verificationSessionId": begun["verificationSessionId"], "pollSecret": begun["pollSecret"]}
    assert (await ada.client.post("/auth/cli/poll", asked)).status in (401, 403)


async def test_nobody_lets_a_device_in_and_signing_in_leads_back_to_it(
    browser_of: Callable[[str], Visitor], post_office: PostOffice
) -> None:
    visitor = browser_of("127.0.0.3")
    begun = (await visitor.client.post("/auth/cli/start", {})).json()
    page = f"/login/{begun['verificationSessionId']}"
    await visitor.open(page)
    assert visitor.path.startswith("/login?return_to=")
    await visitor.send("/login", email="ada@example.org")
    await visitor.send("/login/code", code=await post_office.code("ada@example.org"))
    assert visitor.path == page


async def test_another_site_cannot_let_a_device_in(ada: Visitor) -> None:
    begun = (await ada.client.post("/auth/cli/start", {})).json()
    page = f"/login/{begun['verificationSessionId']}"
    fields = {"decision": "approve", "user_code": begun["userCode"]}
    assert (await ada.post(page, origin="http://blog.localhost:8787", **fields)).status == 403
    assert (await ada.post(page, decision="approve", user_code="BBBB-BBBB")).status >= 400
    assert (await ada.open("/login/unknown")).status >= 400
