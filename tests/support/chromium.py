"""The system's Chromium, driven by Playwright (async API: its sync API cannot share a thread with an event loop)."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

_START_MILLISECONDS = 60_000
_FLAGS = [
    "--no-sandbox",  # Chromium's own sandbox does not work as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """The program's path (AF_TEST_CHROMIUM overrides it); skips the test, saying what to do, when there is none."""
    named = os.environ.get("AF_TEST_CHROMIUM")
    for candidate in [named] if named else ["chromium", "chromium-browser", "google-chrome"]:
        if found := shutil.which(candidate):
            return found
    pytest.skip("NO BROWSER: Chromium is not installed; run bin/setup --test")


@asynccontextmanager
async def browser(*extra_flags: str) -> AsyncIterator[Browser]:
    """A headless browser with an empty profile; it and the driver end with the block. ``extra_flags`` are Chromium's,
    for example ``--host-resolver-rules=MAP *.localhost 127.0.0.1``."""
    path = find_chromium()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=path, headless=True, args=[*_FLAGS, *extra_flags], timeout=_START_MILLISECONDS
        )
        try:
            yield chromium
        finally:
            await chromium.close()
