"""The settings in a real browser, wide and as narrow as a telephone: nothing sticks out, every field has a name, the
console stays quiet, and what cannot be undone is asked about. Pictures of the pages are in the test's folder."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.browsing import by_email, quiet
from tests.e2e.platform import Running, running
from tests.support import chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

WIDE, NARROW = 1280, 390
PAGES = ("", "/methods", "/security", "/sessions", "/tokens", "/team", "/team/night-lab", "/account")
_UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, a[href]")]
  .filter((it) => it.checkVisibility())
  .filter((it) => !(it.labels?.length || it.ariaLabel || it.innerText.trim() || it.querySelector("img[alt]")))
  .map((it) => it.outerHTML)"""
_STICKS_OUT = """() => [...document.querySelectorAll("main *, header *")]
  .filter((it) => it.checkVisibility() && !it.closest(".skip"))
  .filter((it) => it.getBoundingClientRect().right > document.querySelector("main").getBoundingClientRect().right + 1)
  .map((it) => it.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("settings")) as started:
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium.browser() as started:
        yield started


@pytest.fixture
async def page(browser: Browser, platform: Running) -> AsyncIterator[Page]:
    """A page of a new person's browser, which must not log an error, a policy violation included."""
    opened, complaints = await quiet(await browser.new_context(base_url=f"http://localhost:{platform.port}"))
    yield opened
    assert complaints == []


async def look(page: Page, folder: Path, name: str) -> None:
    """Everything that holds for every page, at both widths; with a picture of each."""
    for width in (WIDE, NARROW):
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert await page.evaluate(_STICKS_OUT) == [], name
        await page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
    assert await page.evaluate(_UNNAMED) == [], name
    assert await page.locator("h1").count() == 1, name
    assert await page.locator('nav[aria-label=Settings] [aria-current="page"]').count() == 1, name
    await page.set_viewport_size({"width": WIDE, "height": 900})


async def test_a_walk_through_all_pages(page: Page, platform: Running, tmp_path: Path) -> None:
    await by_email(page, platform, "ada@walk.example")
    await page.goto("/settings")
    await page.get_by_label("Name", exact=True).fill("Ada Lovelace")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("status")).to_have_text("Saved.")
    await make_a_team(page, tmp_path)
    await make_a_token(page, tmp_path)
    await switch_a_second_factor_on(page, tmp_path)
    for address in PAGES:
        await page.goto(f"/settings{address}")
        await look(page, tmp_path, f"page{address.replace('/', '-')}")


async def make_a_team(page: Page, folder: Path) -> None:
    await page.goto("/settings/team")
    await page.get_by_label("Name").fill("Night Lab")
    await page.get_by_role("button", name="Make it").click()
    await page.get_by_label("E-mail address").fill("somebody.with.a.very.long.name@department.institute.example.org")
    await page.get_by_role("button", name="Invite", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("on its way")
    await page.get_by_role("button", name="Revoke the invitation").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Revoke the invitation?")
    await look(page, folder, "question")
    await page.get_by_role("link", name="Not now").click()
    await expect(page.get_by_text("somebody.with.a.very.long.name")).to_be_visible()
    await page.get_by_role("link", name="Access of Ada Lovelace").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Ada Lovelace")
    await look(page, folder, "member")


async def make_a_token(page: Page, folder: Path) -> None:
    await page.goto("/settings/tokens")
    await page.get_by_label("Name").fill("Deploys")
    await page.get_by_label("sites:write", exact=True).check()
    await page.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_role("button", name="Copy the token")).to_be_visible()
    await look(page, folder, "token-made")
    await page.goto("/settings/tokens")
    await page.get_by_role("button", name="Revoke Deploys").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Revoke Deploys?")
    await page.get_by_role("link", name="Not now").click()
    await expect(page.get_by_role("heading", name="Deploys")).to_be_visible()


async def switch_a_second_factor_on(page: Page, folder: Path) -> None:
    await page.goto("/settings/security")
    await page.get_by_role("button", name="Set it up").click()
    await expect(page.get_by_label("The code that the app shows now")).to_be_visible()
    await look(page, folder, "factor-begun")
    secret = re.search(r"\b[A-Z2-7]{32}\b", await page.get_by_role("main").inner_text())
    assert secret
    await page.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret[0]).now())
    await page.get_by_role("button", name="Switch it on").click()
    await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    await look(page, folder, "recovery-codes")


async def test_an_error_is_told_in_place_and_leaving_can_be_taken_back(
    page: Page, platform: Running, tmp_path: Path
) -> None:
    await by_email(page, platform, "ada@leave.example")
    # not by the page itself: the console complains of every answer with a 400
    sent = await page.request.post(
        "/settings",
        form={"act": "save", "display_name": "Ada", "avatar_url": "ftp://example.org/me.png"},
        headers={"Origin": f"http://localhost:{platform.port}"},
    )
    assert sent.status == 400
    assert 'role="alert"' in await sent.text()
    await page.goto("/settings/account")
    await page.get_by_label("To confirm").fill(await page.locator("label[for=confirm] .mono").inner_text())
    await page.get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_role("heading", name=re.compile("To be deleted on"))).to_be_visible()
    await look(page, tmp_path, "to-be-deleted")
    await page.goto("/settings")
    await page.get_by_role("link", name="Keep it after all").click()
    await page.get_by_role("button", name="Keep my account").click()
    await expect(page.get_by_role("status")).to_have_text("Your account stays.")


async def test_the_operator_reads_the_outbox(page: Page, browser: Browser, platform: Running, tmp_path: Path) -> None:
    other, complaints = await quiet(await browser.new_context(base_url=f"http://localhost:{platform.port}"))
    await by_email(other, platform, "ada@outbox.example")
    await other.goto("/settings")
    await expect(other.get_by_role("link", name="Outbox")).to_have_count(0)
    assert complaints == []
    await page.goto(platform.ready["loginUrl"])
    await expect(page.get_by_role("heading", name="Put a folder live")).to_be_visible()
    await page.goto("/settings")
    await page.get_by_role("link", name="Outbox").click()
    await expect(page.get_by_text("No mail server is set up")).to_be_visible()
    await expect(page.get_by_text("ada@outbox.example").first).to_be_visible()
    await look(page, tmp_path, "outbox")
