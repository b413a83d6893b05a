"""The page in a real browser, over the real services, with a real agent."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.installation import EMAIL, PASSWORD, Installation
from tests.support.real_agent import running_agent

SOON_MS = 20_000
LIVE = 'header[data-connection="live"]'


async def sign_in(page: Page, password: str = PASSWORD) -> None:
    await page.get_by_label("Email").fill(EMAIL)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


def row_of(page: Page, name: str) -> Locator:
    return page.locator("tr[data-server-id]").filter(has_text=name)


async def test_wrong_password_is_said_and_the_page_stays(page: Page) -> None:
    await sign_in(page, "wrong")
    await expect(page.get_by_role("alert")).to_be_visible(timeout=SOON_MS)
    await expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


async def test_signed_in_person_sees_a_value_change(page: Page, installation: Installation, tmp_path: Path) -> None:
    await sign_in(page)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    with running_agent(installation, tmp_path, name="watched"):
        row = row_of(page, "watched")
        uptime, cpu = row.locator('[data-field="uptime"]'), row.locator('[data-field="cpu"]')
        await expect(cpu).to_have_text(re.compile(r"\d+\.\d%"), timeout=SOON_MS)
        await expect(uptime).to_have_text(re.compile(r"\d"), timeout=SOON_MS)
        network = row.locator('[data-field="network"]')
        before = await network.inner_text()
        await expect(network).not_to_have_text(before, timeout=SOON_MS)
    assert "Muster" in await page.title()


async def test_edit_through_the_api_shows_at_once(page: Page, installation: Installation) -> None:
    agent = await installation.enrol("edited")
    await sign_in(page)
    await expect(row_of(page, "edited")).to_be_visible(timeout=SOON_MS)
    answer = await installation.client.patch(
        f"/api/v1/servers/{agent['server_id']}",
        json={"tags": ["blue-tag"]},
        headers={"Authorization": f"Bearer {await installation.token()}"},
    )
    assert 200 == answer.status_code
    await expect(row_of(page, "edited")).to_contain_text("blue-tag", timeout=SOON_MS)


async def test_silent_agent_goes_offline_by_itself_and_comes_back(
    page: Page, installation: Installation, tmp_path: Path
) -> None:
    await sign_in(page)
    with running_agent(installation, tmp_path, name="silent") as agent:
        status = row_of(page, "silent").locator('[data-field="status"]')
        await expect(status).to_contain_text("online", ignore_case=True, timeout=SOON_MS)
        agent.kill()
        await expect(status).to_contain_text("offline", ignore_case=True, timeout=SOON_MS)
    with running_agent(installation, tmp_path, name="silent"):
        await expect(status).to_contain_text("online", ignore_case=True, timeout=SOON_MS)
        await expect(row_of(page, "silent")).to_have_count(1)
    # it said goodbye: offline at once
    await expect(status).to_contain_text("offline", ignore_case=True, timeout=2_000)


async def test_line_for_another_machine_leads_to_the_script_and_has_a_token_that_enrols(
    page: Page, installation: Installation
) -> None:
    await installation.enrol("one that is there")
    await sign_in(page)
    await page.get_by_role("button", name="Add a machine").click()
    await page.get_by_role("button", name="Create a token").click()
    await expect(page.get_by_text("is this machine alone")).to_be_visible(timeout=SOON_MS)
    code = page.locator(".add-machine code")
    await expect(code).to_contain_text("=me_", timeout=SOON_MS)
    line = r"\(echo MUSTER_ENROL_TOKEN=(\S+); curl -fsSL (\S+) \|\| echo exit 1\) \| sudo sh"
    found = re.fullmatch(line, await code.inner_text())
    assert found
    body = {"token": found[1], "hostname": "another", "machine_id": "0123456789abcdef"}
    async with httpx.AsyncClient() as another:
        script = await another.get(found[2])
        assert script.text.startswith("#!/bin/sh\n")
        for status in (201, 403):  # it lets one machine in
            answer = await another.post(f"{installation.ready.url}/ingest/v1/enroll", json=body)
            assert status == answer.status_code, answer.text


@pytest.mark.parametrize("part", ["broadcaster", "valkey"])
async def test_page_resumes_after_a_part_was_killed(
    page: Page, installation: Installation, tmp_path: Path, part: str
) -> None:
    await sign_in(page)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    await installation.kill(part)
    with running_agent(installation, tmp_path, name=f"after-{part}"):
        cpu = row_of(page, f"after-{part}").locator('[data-field="cpu"]')
        await expect(cpu).to_have_text(re.compile(r"\d+\.\d%"), timeout=SOON_MS)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)


async def test_reload_keeps_the_person_signed_in(page: Page) -> None:
    await sign_in(page)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    await page.reload()
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
