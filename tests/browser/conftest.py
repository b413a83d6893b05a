"""An installation that notices silence quickly, and a browser page beside it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.support.browser import running_browser
from tests.support.installation import Installation, installed

QUICK = {"OFFLINE_AFTER": "4s", "SWEEP_INTERVAL": "1s", "RETURN_GRACE": "4s"}


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Give a running Chromium."""
    async with running_browser() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def installation(
    browser: Browser,  # noqa: ARG001  (without a browser there is nothing to start)
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Installation]:
    """Give a running installation without agents of its own."""
    async with installed(tmp_path_factory.mktemp("muster"), "--no-agent", environment=QUICK) as running:
        yield running


@pytest_asyncio.fixture
async def page(browser: Browser, installation: Installation) -> AsyncIterator[Page]:
    """Give a page of a fresh profile at the installation's origin; an exception that nobody catches fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    await opened.goto(installation.ready.url)
    yield opened
    await context.close()
    assert [] == complaints
