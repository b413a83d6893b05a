"""What docs/add-a-resource.md says is so: its two files, in a copy of this checkout, make a resource with a page."""

import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from stack.install.page import Page as WebPage
from tests.browser.test_page import LIVE, SOON_MS, sign_in
from tests.support.installation import Installation, installed

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "add-a-resource.md").read_text(encoding="utf-8")
SOURCES = ("shared", "services", "stack", "clients", "web")
INSTALLED = (".venv", "node_modules")

MADE = shutil.ignore_patterns("node_modules", "dist", "__pycache__")
_FILE = re.compile(r"`(shared/[\w/.]+)`[^`]*?:\n\n```(?:python|sql)\n(.*?)```", re.DOTALL)
_TYPESCRIPT = re.compile(r"```ts\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a copy of this checkout to which the files of the document are added, with its page built."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=MADE)
    for name in INSTALLED:
        (copy / name).symlink_to(ROOT / name)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, copy)
    for path, text in _FILE.findall(DOCUMENT):
        (copy / path).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "services.api.typescript"], check=True, cwd=copy)
    WebPage(copy).npm("run", "typecheck", "--workspace", "muster-web")
    WebPage(copy).npm("run", "build", "--workspace", "muster-web")
    return copy


@pytest_asyncio.fixture
async def added(checkout: Path, tmp_path: Path, browser: Browser) -> AsyncIterator[Installation]:  # noqa: ARG001  (without a browser there is nothing to start)
    """Give a running installation of the copy."""
    async with installed(tmp_path / "muster", "--no-agent", checkout=checkout) as running:
        yield running


def test_the_document_shows_a_declaration_and_a_migration() -> None:
    folders = [Path(path).parent.as_posix() for path, _ in _FILE.findall(DOCUMENT)]
    assert ["shared/resources", "shared/io/database/migrations"] == folders


def test_the_type_is_the_one_that_the_document_shows(checkout: Path) -> None:
    (shown,) = _TYPESCRIPT.findall(DOCUMENT)
    assert shown in (checkout / "web" / "src" / "resources" / "generated.ts").read_text(encoding="utf-8")


async def test_a_resource_that_was_added_has_its_api_and_its_page(added: Installation, browser: Browser) -> None:
    headers = {"Authorization": f"Bearer {await added.token()}"}
    made = await added.client.post("/api/v1/suppliers", json={"name": "Acme", "lead_time_days": 3}, headers=headers)
    assert 201 == made.status_code, made.text
    assert "net_14" == made.json()["terms"]
    refused = await added.client.post(
        "/api/v1/suppliers", json={"name": "Late", "lead_time_days": 999}, headers=headers
    )
    assert ["lead_time_days"] == [error["field"] for error in refused.json()["errors"]]
    listed = await added.client.get("/api/v1/suppliers?active=true&sort=-lead_time_days&q=acm", headers=headers)
    assert [made.json()["id"]] == [item["id"] for item in listed.json()["items"]]
    described = (await added.client.get("/api/openapi.json")).json()
    assert "/api/v1/suppliers/bulk" in described["paths"]

    page = await (await browser.new_context()).new_page()
    await page.goto(added.ready.url)
    await sign_in(page)
    await page.get_by_role("link", name="Suppliers").click(timeout=SOON_MS)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_role("row").filter(has_text="Acme")).to_be_visible(timeout=SOON_MS)
    await page.get_by_role("button", name="Edit Acme").click()
    await page.get_by_role("dialog").get_by_label("Terms").select_option("net_30")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row").filter(has_text="Acme")).to_contain_text("net_30", timeout=SOON_MS)
    await page.context.close()
