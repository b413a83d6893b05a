"""A real Chromium, headless: what is on the machine, else a clear word that there is none."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-sandbox",  # a test machine may run as root, where Chromium refuses its sandbox
)
_MISSING = f"no browser: install Debian's package chromium, or put one of {', '.join(NAMES)} on the PATH"


def find_browser() -> str:
    """Return the path of a Chromium; without one the test is skipped, or fails where CI=true."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(_MISSING)
    if found is None:
        pytest.skip(_MISSING)
    return found


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run a browser until the block ends."""
    executable = find_browser()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
