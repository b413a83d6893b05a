"""A page and a Python program that follow the same topic agree in the end, whatever is killed meanwhile.

With `AGREEMENT_MINUTES=60` this goes on for an hour; `AGREEMENT_SEED` repeats what was killed and edited.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from muster_client import MusterClient, login
from tests.browser.test_page import LIVE, SOON_MS, sign_in
from tests.support.installation import EMAIL, PASSWORD, Installation

MINUTES = float(os.environ.get("AGREEMENT_MINUTES", "0.4"))
SEED = int(os.environ.get("AGREEMENT_SEED", str(random.randrange(10**6))))
PARTS = ("broadcaster", "api", "ingest", "worker", "sweeper", "valkey", "postgres", "caddy")
SERVERS = 5
EDITS = 10

_ROWS = """rows => Object.fromEntries(rows.map(row => [row.dataset.serverId,
    [...row.querySelectorAll('.tag')].map(tag => tag.textContent)]))"""

Items = dict[str, Mapping[str, Any]]


async def edit(installation: Installation, server_id: str, tags: list[str]) -> None:
    """Set the tags of a server, as often as it takes until that is committed."""
    async with asyncio.timeout(60):
        while True:
            headers = {"Authorization": f"Bearer {await installation.token()}"}
            try:
                answer = await installation.client.patch(
                    f"/api/v1/servers/{server_id}", json={"tags": tags}, headers=headers
                )
            except httpx.TransportError:
                answer = httpx.Response(503)
            if answer.status_code == httpx.codes.OK:
                return
            assert answer.status_code in {202, 401, 502, 503, 504}, answer.text
            await asyncio.sleep(0.05)


@asynccontextmanager
async def followed(muster: MusterClient) -> AsyncIterator[Items]:
    """Give what a program makes of the changes of all servers, which go on coming in."""
    items: Items = {}

    async def fold() -> None:
        async for change in muster.watch("servers"):
            if change.data is None:
                items.pop(change.id, None)
            else:
                items[change.id] = change.data

    folding = asyncio.create_task(fold())
    try:
        yield items
    finally:
        folding.cancel()
        await asyncio.wait([folding])


@pytest.mark.parametrize("seed", [SEED], ids=["seed"])  # a failure shows the seed among its arguments
async def test_a_page_and_a_program_agree_after_random_kills(page: Page, installation: Installation, seed: int) -> None:
    chance = random.Random(seed)
    await sign_in(page)
    await expect(page.locator(LIVE)).to_be_visible(timeout=SOON_MS)
    ids = [str((await installation.enrol(f"agree-{number}"))["server_id"]) for number in range(SERVERS)]
    tokens = login(installation.ready.url, EMAIL, PASSWORD)
    async with MusterClient(installation.ready.url, token=tokens) as muster, followed(muster) as items:
        until = time.monotonic() + 60 * MINUTES
        while time.monotonic() < until:
            killing = asyncio.create_task(installation.kill(chance.choice(PARTS)))
            for _ in range(EDITS):
                await edit(installation, chance.choice(ids), [f"tag-{chance.randrange(1_000)}"])
            await killing
        for number, server_id in enumerate(ids):
            await edit(installation, server_id, [f"last-{number}", "agreed"])
        await agree(installation, muster, items, page, ids)


async def agree(installation: Installation, muster: MusterClient, items: Items, page: Page, ids: list[str]) -> None:
    """Wait until the page and the program show what PostgreSQL holds."""
    async with installation.database() as database:
        rows = await database.fetch("SELECT id, tags FROM servers WHERE NOT hidden")
    stored = {row["id"]: list(row["tags"]) for row in rows}
    assert [["last-0", "agreed"], ["last-4", "agreed"]] == [stored[ids[0]], stored[ids[-1]]]
    async with asyncio.timeout(60):
        while True:
            program = {record_id: data["tags"] for record_id, data in items.items() if not data["hidden"]}
            shown = await page.locator("tr[data-server-id]").evaluate_all(_ROWS)
            if stored == program == shown:
                break
            await asyncio.sleep(0.1)
    topic = muster.topic("servers")
    assert await topic.check()
