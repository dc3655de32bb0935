"""What browser tests of the pages share: a page that must stay quiet, the messages that were sent, signing in."""

from __future__ import annotations

import re

from playwright.async_api import BrowserContext, Page

from tests.e2e.platform import Running
from tests.support.processes import wait_until


async def quiet(context: BrowserContext) -> tuple[Page, list[str]]:
    """A new page, and what its console complains of: scripts that fail, what the policy forbids."""
    page = await context.new_page()
    complaints: list[str] = []

    def note(text: str) -> None:
        if "the server responded with a status of 401" not in text:  # an answer that is wrong on purpose
            complaints.append(text)

    page.on("console", lambda message: note(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def message_to(platform: Running, address: str, *, after: int = 0) -> str:
    """The newest message to the address, as the log of a platform without a mail server shows it."""

    def look() -> str | None:
        found = re.findall(rf'"to": "{re.escape(address)}", "text": "(.*?)(?<!\\)"', platform.process.output())
        return found[-1] if len(found) > after else None

    return wait_until(look, seconds=15, what=f"a message to {address}")


def code_in(message: str) -> str:
    found = re.search(r"\b(\d{6})\b", message)
    assert found, message
    return found[1]


async def by_email(page: Page, platform: Running, address: str, *, after: int = 0) -> None:
    await page.goto("/login")
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_role("button", name="Continue with e-mail").click()
    await page.get_by_label("Code", exact=True).fill(code_in(message_to(platform, address, after=after)))
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")


async def shown_name(page: Page) -> str:
    await page.goto("/settings")
    return (await page.locator("header .who").inner_text()).strip()


async def sign_out(page: Page) -> None:
    await page.goto("/settings")
    await page.get_by_role("button", name="Sign out").first.click()
    await page.wait_for_url("**/")
