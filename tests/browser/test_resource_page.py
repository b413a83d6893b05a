"""The page of a resource in a real browser: what one person does, another one sees at once."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.test_page import LIVE, SOON_MS, sign_in
from tests.support.installation import Installation

AT_ONCE_MS = 2_000


@pytest_asyncio.fixture
async def other(browser: Browser, installation: Installation) -> AsyncIterator[Page]:
    """Give the page of another person, who looks at the websites."""
    context = await browser.new_context(viewport={"width": 390, "height": 800})
    opened = await context.new_page()
    await opened.goto(f"{installation.ready.url}/r/websites")
    await sign_in(opened)
    await expect(opened.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    yield opened
    await context.close()


async def open_websites(page: Page) -> None:
    """Sign in and go to the websites by the menu."""
    await sign_in(page)
    await page.get_by_role("link", name="Websites").click()
    await expect(page).to_have_url(re.compile(r"/r/websites$"))
    await expect(page.get_by_role("heading", name="Websites", exact=True)).to_be_visible(timeout=SOON_MS)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)


def row_of(page: Page, domain: str) -> Locator:
    return page.locator("tr[data-record-id]").filter(has_text=domain)


def field(page: Page, name: str) -> Locator:
    """Return the input of this name in the form that is open."""
    return page.get_by_role("dialog").get_by_label(re.compile(rf"^{name}\*?$"))


async def create(page: Page, domain: str) -> None:
    """Add a website in the page."""
    await page.get_by_role("button", name="Add website").click()
    await field(page, "Primary domain").fill(domain)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog")).to_have_count(0, timeout=SOON_MS)


async def test_what_one_person_does_another_sees_at_once(page: Page, other: Page) -> None:
    await open_websites(page)
    await create(page, "seen.example.org")
    await expect(row_of(other, "seen.example.org")).to_be_visible(timeout=AT_ONCE_MS)

    await page.get_by_role("button", name="Edit seen.example.org").click()
    await field(page, "Domains").fill("www.seen.example.org\nm.seen.example.org")
    await field(page, "HTTPS enabled").uncheck()
    await page.get_by_role("button", name="Save").click()
    seen = row_of(other, "seen.example.org")
    await expect(seen.locator('[data-field="domains"] .tag')).to_have_text(
        ["www.seen.example.org", "m.seen.example.org"], timeout=AT_ONCE_MS
    )
    await expect(seen.locator('[data-field="https_enabled"]')).to_have_text("No")

    await page.get_by_role("button", name="Delete seen.example.org").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(seen).to_have_count(0, timeout=AT_ONCE_MS)
    await expect(page.get_by_text("seen.example.org was deleted.")).to_be_visible()

    await page.get_by_role("button", name="Undo").click()
    await expect(seen).to_contain_text("m.seen.example.org", timeout=SOON_MS)
    await expect(page.get_by_text("seen.example.org is back.")).to_be_visible(timeout=SOON_MS)


async def test_a_name_that_is_taken_is_said_at_its_field(page: Page) -> None:
    await open_websites(page)
    await create(page, "taken.example.org")
    await page.get_by_role("button", name="Add website").click()
    domain = field(page, "Primary domain")
    await domain.fill("taken.example.org")
    await page.get_by_role("button", name="Save").click()
    await expect(domain).to_have_attribute("aria-invalid", "true", timeout=SOON_MS)
    await expect(domain).to_be_focused()
    await expect(domain).to_have_accessible_description(re.compile("taken|another|exists", re.IGNORECASE))


async def test_the_keyboard_is_enough(page: Page) -> None:
    await open_websites(page)
    await create(page, "typed.example.org")
    edit = page.get_by_role("button", name="Edit typed.example.org")
    await edit.focus()
    await page.keyboard.press("Enter")
    await expect(field(page, "Primary domain")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(edit).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("End")
    await page.keyboard.type(".uk")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("You have not saved what you changed.")).to_be_visible()
    await page.get_by_role("button", name="Keep editing").press("Enter")
    await field(page, "Primary domain").press("Enter")
    await expect(row_of(page, "typed.example.org.uk")).to_be_visible(timeout=SOON_MS)


async def test_an_edit_that_lost_shows_what_changed_and_lets_the_person_decide(page: Page, other: Page) -> None:
    await open_websites(page)
    await create(page, "disputed.example.org")
    await page.get_by_role("button", name="Edit disputed.example.org").click()
    await field(page, "CNAME").fill("mine.example.net")

    await other.get_by_role("button", name="Edit disputed.example.org").click(timeout=SOON_MS)
    await field(other, "Line group").fill("theirs")
    await field(other, "CNAME").fill("theirs.example.net")
    await other.get_by_role("button", name="Save").click()
    await expect(other.get_by_role("dialog")).to_have_count(0, timeout=SOON_MS)

    await page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    differing = dialog.locator(".differences tbody tr")
    await expect(differing).to_have_text(
        [re.compile("CNAME.*theirs.example.net.*mine.example.net"), re.compile("Line group.*theirs.*theirs")],
        timeout=SOON_MS,
    )
    await dialog.get_by_role("button", name="Save mine").click()
    await expect(row_of(other, "disputed.example.org").locator('[data-field="cname"]')).to_have_text(
        "mine.example.net", timeout=SOON_MS
    )
    await expect(row_of(other, "disputed.example.org").locator('[data-field="line_group"]')).to_have_text("theirs")


async def test_a_page_that_does_not_exist_says_so(page: Page, installation: Installation) -> None:
    await page.goto(f"{installation.ready.url}/r/nothing")
    await sign_in(page)
    await page.get_by_role("link", name="Go to the servers").click(timeout=SOON_MS)
    await expect(page.get_by_role("link", name="Servers", exact=True)).to_have_attribute("aria-current", "page")
