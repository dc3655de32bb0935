"""The first page in a real browser: sign in by the link, drop a folder, see it live, roll back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.platform import Running, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# What the system's drag and drop hands to a page, made from real file-system entries of the page's own origin.
_DROP = """
async ({ name, files }) => {
  const entry = (path, isDirectory, more) => ({ name: path, isDirectory, isFile: !isDirectory, ...more });
  const leaf = (name, text) => entry(name, false, { file: (done) => done(new File([text], name)) });
  const folder = (name, children) => entry(name, true, {
    createReader: () => ({ batches: [children, []], readEntries(done) { done(this.batches.shift()); } }),
  });
  const top = folder(name, Object.entries(files).map(([path, text]) =>
    typeof text === "string" ? leaf(path, text) : folder(path, Object.entries(text).map(([n, t]) => leaf(n, t)))));
  const event = new Event("drop", { bubbles: true, cancelable: true });
  event.dataTransfer = { items: [{ webkitGetAsEntry: () => top }], files: [] };
  document.getElementById("drop").dispatchEvent(event);
}
"""


@pytest.fixture
def platform(tmp_path: Path):  # type: ignore[no-untyped-def]
    with running(tmp_path) as started:
        yield started


@contextlib.asynccontextmanager
async def _quiet_page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page that must not log an error, a policy violation included."""
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


async def _sign_in(page: Page, platform: Running) -> None:
    await page.goto(platform.ready["loginUrl"])
    await expect(page.get_by_role("heading", name="Put a folder live")).to_be_visible()


def _folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "my Blog"
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(f"<!doctype html><title>t</title><h1>{text}</h1>")
    (folder / "assets" / "grüße.css").write_text("h1 { color: red }")
    (folder / ".env").write_text("SECRET=1")
    return folder


async def _heading_at(context: BrowserContext, address: str) -> str:
    page = await context.new_page()
    await page.goto(address)
    text = await page.locator("h1").inner_text()
    await page.close()
    return text


async def test_a_chosen_folder_goes_live_again_and_back(platform: Running, browser: Browser, tmp_path: Path) -> None:
    context = await browser.new_context()
    address = f"http://my-blog.localhost:{platform.port}"
    async with _quiet_page(context) as page:
        await _sign_in(page, platform)
        await expect(page.get_by_text("No sites yet.")).to_be_visible()

        await page.set_input_files("#folder", _folder(tmp_path, "first"))
        await expect(page.locator("#chosen")).to_contain_text("my Blog: 2 files")
        await expect(page.get_by_label("Site", exact=True)).to_have_value("my-blog")
        await page.get_by_role("button", name="Deploy", exact=True).click()
        await expect(page.get_by_role("status").get_by_role("link", name=address)).to_be_visible(timeout=20_000)
        assert await _heading_at(context, address) == "first"
        assert platform.request("/.env", host="my-blog.localhost").status == 404
        assert platform.request("/assets/gr%C3%BC%C3%9Fe.css", host="my-blog.localhost").status == 200

        await page.set_input_files("#folder", _folder(tmp_path, "second"))
        await expect(page.locator("#address")).to_contain_text("Replaces what visitors see")
        await page.get_by_role("button", name="Deploy", exact=True).click()
        await expect(page.locator("#site-my-blog time").first).to_be_visible()
        await expect(page.get_by_role("status").get_by_role("link", name=address)).to_be_visible(timeout=20_000)
        assert await _heading_at(context, address) == "second"

        await page.get_by_role("button", name="Roll my-blog back to the deployment before").click()
        await expect(page.locator("#site-my-blog .badge.ready")).to_be_visible()
        await expect(page.get_by_role("status")).to_contain_text("Live at")
        assert await _heading_at(context, address) == "first"

        await page.locator("#site-my-blog summary").click()
        await expect(page.locator("#site-my-blog .history li")).to_have_count(3)
        await page.screenshot(path=tmp_path / "page.png", full_page=True)
    await context.close()


async def test_a_dropped_folder_goes_live(platform: Running, browser: Browser) -> None:
    context = await browser.new_context()
    async with _quiet_page(context) as page:
        await _sign_in(page, platform)
        files = {"index.html": "<h1>dropped</h1>", "deep": {"a.txt": "a"}, ".git": {"config": "no"}}
        await page.evaluate(_DROP, {"name": "Dropped", "files": files})
        await expect(page.locator("#chosen")).to_contain_text("Dropped: 2 files")
        await page.get_by_role("button", name="Deploy", exact=True).press("Enter")  # the keyboard will do
        await expect(page.get_by_role("status")).to_contain_text("Live at", timeout=20_000)
    assert platform.request("/deep/a.txt", host="dropped.localhost").body == b"a"
    await context.close()


async def test_a_broken_archive_says_so_and_changes_nothing(
    platform: Running, browser: Browser, tmp_path: Path
) -> None:
    context = await browser.new_context()
    (tmp_path / "site.zip").write_bytes(b"this is no zip")
    async with _quiet_page(context) as page:
        await _sign_in(page, platform)
        await page.set_input_files("#archive", tmp_path / "site.zip")
        await page.get_by_role("button", name="Deploy", exact=True).click()
        await expect(page.locator(".result.bad")).to_be_visible(timeout=20_000)
        await expect(page.locator(".result.bad")).to_contain_text("What visitors see has not changed.")
    await context.close()


async def test_nobody_sees_how_to_sign_in_and_the_session_ends(platform: Running, browser: Browser) -> None:
    context = await browser.new_context(color_scheme="dark")
    async with _quiet_page(context) as page:
        await page.goto(platform.ready["url"])
        await expect(page.get_by_text("af login --link").first).to_be_visible()
        await _sign_in(page, platform)
        cookies = await context.cookies()
        assert [(c["name"], c["httpOnly"], c["secure"]) for c in cookies] == [("__Host-af_session", True, True)]
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_text("af login --link").first).to_be_visible()
        assert await context.cookies() == []
    await context.close()
