"""Signing in by every method in a real browser, against real counterparts: the platform's outbox, another program's
wallets, Chromium's virtual authenticator, an OpenID Connect provider that checks PKCE."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import pyotp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.async_api import Browser, Page, expect

from af.protocols import base58
from tests.e2e.browsing import by_email, code_in, message_to, quiet, shown_name, sign_out
from tests.e2e.platform import AF, Running, running
from tests.support import chromium, oidc, wallets
from tests.support.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

_ETHEREUM = """
window.ethereum = { isMetaMask: true, request: async ({ method, params }) => {
  if (method === "eth_requestAccounts") return ["ADDRESS"];
  if (method === "eth_chainId") return "0x1";
  if (method === "personal_sign") return await window.signEthereum(params[0]);
  throw new Error(method);
} };
"""
_PHANTOM = """
window.phantom = { solana: { isPhantom: true,
  connect: async () => ({ publicKey: { toString: () => "ADDRESS" } }),
  signMessage: async (bytes) => ({ signature: new Uint8Array(await window.signSolana(Array.from(bytes))) }),
} };
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[oidc.Provider]:
    with oidc.running() as started:
        started.alter(userinfo={"name": "John Doe", "email": "john@doe.example", "email_verified": True})
        yield started


@pytest.fixture(scope="module")
def platform(provider: oidc.Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("pages")
    with running(folder, AF_OIDC_PROVIDERS=oidc.settings_of(provider.issuer)) as started:
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium.browser() as started:
        yield started


@pytest.fixture
async def page(browser: Browser, platform: Running) -> AsyncIterator[Page]:
    """A page of a new person's browser, which must not log an error, a policy violation included."""
    context = await browser.new_context(base_url=f"http://localhost:{platform.port}")
    opened, complaints = await quiet(context)
    yield opened
    assert complaints == []


async def test_by_e_mail_with_a_code(page: Page, platform: Running) -> None:
    await page.goto("/login")
    await page.get_by_label("E-mail address").fill("ada@code.example")
    await page.get_by_role("button", name="Continue with e-mail").click()
    code = code_in(message_to(platform, "ada@code.example"))
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    await page.get_by_label("Code", exact=True).fill(wrong)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@code.example"


async def test_by_the_link_in_the_browser_that_asked_only(page: Page, browser: Browser, platform: Running) -> None:
    await page.goto("/login")
    await page.get_by_label("E-mail address").fill("ada@link.example")
    await page.get_by_role("button", name="Continue with e-mail").click()
    link = re.search(r"http://localhost:\d+/auth/email/link\?token=[\w-]+", message_to(platform, "ada@link.example"))
    assert link
    elsewhere, complaints = await quiet(await browser.new_context())
    await elsewhere.goto(link[0])
    await expect(elsewhere.get_by_role("main")).to_contain_text("browser")
    assert not [cookie for cookie in await elsewhere.context.cookies() if cookie["name"].endswith("af_session")]
    await page.goto(link[0])
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@link.example"
    assert complaints == []


async def test_a_sign_in_page_opened_meanwhile_takes_no_code_away(page: Page, platform: Running) -> None:
    """It asks for a passkey by itself; that is a sign-in of its own beside the one that waits for its code."""
    await page.goto("/login")
    await page.get_by_label("E-mail address").fill("ada@tabs.example")
    await page.get_by_role("button", name="Continue with e-mail").click()
    second = await page.context.new_page()
    await second.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => true")
    async with second.expect_response("**/auth/passkey/options") as asked:
        await second.goto("/login")
    assert (await asked.value).status == 200
    await page.get_by_label("Code", exact=True).fill(code_in(message_to(platform, "ada@tabs.example")))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@tabs.example"


async def test_by_an_ethereum_wallet(page: Page) -> None:
    async def sign(message: str) -> str:
        return wallets.sign(bytes.fromhex(message.removeprefix("0x")).decode())

    await page.expose_function("signEthereum", sign)
    await page.add_init_script(_ETHEREUM.replace("ADDRESS", wallets.KEY.address))
    await page.goto("/login")
    await page.get_by_role("button", name=re.compile("MetaMask|Ethereum")).first.click()
    await page.wait_for_url("**/")
    await page.goto("/settings/methods")
    await expect(page.get_by_text(wallets.KEY.address)).to_be_visible()


async def test_by_a_solana_wallet(page: Page) -> None:
    key = Ed25519PrivateKey.generate()
    address = base58.encode(key.public_key().public_bytes_raw())
    await page.expose_function("signSolana", lambda message: list(key.sign(bytes(message))))
    await page.add_init_script(_PHANTOM.replace("ADDRESS", address))
    await page.goto("/login")
    await page.get_by_role("button", name="Phantom").click()
    await page.wait_for_url("**/")
    await page.goto("/settings/methods")
    await expect(page.get_by_text(address)).to_be_visible()


async def test_over_an_openid_connect_provider(page: Page) -> None:
    await page.goto("/login")
    await page.get_by_role("link", name=re.compile("Work")).click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "John Doe"


async def test_by_a_passkey_that_was_added_before(page: Page, platform: Running) -> None:
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    # Or the e-mail field would sign in by itself: this authenticator's person always says yes.
    await page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = async () => false")
    await by_email(page, platform, "ada@passkey.example")
    await page.goto("/settings/methods")
    await page.get_by_role("button", name="Passkey").click()
    await expect(page.get_by_role("status")).to_contain_text("was added")
    await sign_out(page)
    await page.goto("/login")
    await page.get_by_role("button", name="Passkey").click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@passkey.example"


async def test_with_a_second_factor(page: Page, platform: Running) -> None:
    await by_email(page, platform, "ada@factor.example")
    await page.goto("/settings/security")
    await page.get_by_role("button", name="Set it up").click()
    text = await page.get_by_role("main").inner_text()
    secret = re.search(r"\b[A-Z2-7]{32}\b", text)
    assert secret, text
    await expect(page.get_by_alt_text("QR code")).to_be_visible()
    await page.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret[0]).now())
    await page.get_by_role("button", name="Switch it on").click()
    await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    text = await page.get_by_role("main").inner_text()
    codes = re.findall(r"\b[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}\b", text)
    assert len(codes) == 10, text
    await sign_out(page)
    await page.goto("/login")
    await page.get_by_label("E-mail address").fill("ada@factor.example")
    await page.get_by_role("button", name="Continue with e-mail").click()
    code = code_in(message_to(platform, "ada@factor.example", after=2))  # the second message told of the new factor
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    await page.get_by_label("Code").fill(codes[0])
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@factor.example"


def started(command: list[str], variables: dict[str, str], out: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=variables, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    )


def ran(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=variables, capture_output=True, text=True)


async def test_the_whole_way(page: Page, platform: Running, tmp_path: Path) -> None:
    """Sign in, add a second way, sign in with either, make a scoped token, use it, be refused outside its scope."""

    async def sign(message: str) -> str:
        return wallets.sign(bytes.fromhex(message.removeprefix("0x")).decode(), wallets.OTHER)

    await page.expose_function("signEthereum", sign)
    await page.add_init_script(_ETHEREUM.replace("ADDRESS", wallets.OTHER.address))
    await by_email(page, platform, "ada@whole.example")
    await page.goto("/settings/methods")
    await page.get_by_role("button", name="Ethereum wallet").click()
    await expect(page.get_by_role("status")).to_contain_text("was added")
    await sign_out(page)
    await page.goto("/login")
    await page.get_by_role("button", name=re.compile("MetaMask|Ethereum")).first.click()
    await page.wait_for_url("**/")
    assert await shown_name(page) == "ada@whole.example"
    await sign_out(page)
    await by_email(page, platform, "ada@whole.example", after=2)
    assert await shown_name(page) == "ada@whole.example"

    await page.goto("/settings/tokens")
    await page.get_by_label("Name").fill("Deploys")
    for scope in ("sites:read", "projects:read", "projects:write"):
        await page.get_by_label(scope, exact=True).check()
    await page.get_by_role("button", name="Make the token").click()
    token = (await page.locator(".secret code").inner_text()).strip()
    assert token.startswith("af_live_")

    def af(*arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {"AF_TOKEN": token, "AF_API_URL": f"http://localhost:{platform.port}", "CI": "1"}
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AF_CONFIG_DIR": str(tmp_path / "config")}
        return ran([str(AF), *arguments], {**clean, **variables})

    made = af("projects", "create", "ada's", "--json")
    assert made.returncode == 0, made.stderr
    listed = af("projects", "list", "--json")
    assert [each["name"] for each in json.loads(listed.stdout)["data"]] == ["ada's"]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("x")
    refused = af("deploy", str(tmp_path / "site"))
    assert refused.returncode == 4, refused.stderr
    assert "AF2012" in refused.stderr


async def test_a_device_is_let_in(page: Page, platform: Running, tmp_path: Path) -> None:
    await by_email(page, platform, "ada@device.example")
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "AF_CONFIG_DIR": str(tmp_path / "config"), "NO_COLOR": "1"}
    log = tmp_path / "login.txt"
    with log.open("w") as out:
        command = [str(AF), "login", "--no-browser", "--url", f"http://localhost:{platform.port}"]
        shell = ["script", "-qec", " ".join(command), "/dev/null"]  # at a terminal, as people are
        waiting = started(shell, clean, out)
    try:
        shown = wait_until(
            lambda: re.search(r"(http://localhost:\d+/login/[\w-]+)", log.read_text()), seconds=15, what="the address"
        )
        code = wait_until(
            lambda: re.search(r"\b([B-DF-HJ-NP-TV-Z]{4}-[B-DF-HJ-NP-TV-Z]{4})\b", log.read_text()),
            seconds=5,
            what="the code",
        )
        await page.goto(shown[1])
        await expect(page.get_by_text(code[1], exact=True)).to_be_visible()
        await page.get_by_role("button", name="let it in").click()
        await expect(page.get_by_role("heading", name="The device is in")).to_be_visible()
        assert waiting.wait(20) == 0, log.read_text()
    finally:
        waiting.kill()
        waiting.wait()
    who = ran([str(AF), "whoami"], clean)
    assert "ada@device.example" in who.stdout, who.stdout + who.stderr
