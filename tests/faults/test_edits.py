"""A hundred clients who edit the same records at once lose nothing, and do nothing twice when they are cut off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest_asyncio

from tests.support.installation import Installation, installed

CLIENTS = 100
RECORDS = 10
EDITS = 3
WITHIN_S = 120.0
_FIRST_CUT_S = 0.05
PRODUCTS = "/api/v1/products"


@pytest_asyncio.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    """Give a running installation without agents of its own."""
    async with installed(tmp_path / "muster", "--no-agent") as running:
        yield running


@pytest_asyncio.fixture
async def http(installation: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the administrator's, with a connection for everyone."""
    headers = {"Authorization": f"Bearer {await installation.token()}"}
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=installation.ready.url, headers=headers, limits=limits, timeout=WITHIN_S
    ) as client:
        yield client


async def create(http: httpx.AsyncClient, name: str) -> str:
    answer = await http.post(PRODUCTS, json={"name": name})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["id"])


async def increment(http: httpx.AsyncClient, record_id: str) -> int:
    """Add one to the price of a product, as it was read; returns how often that had to be tried."""
    for attempt in range(1, 10_000):
        product = await http.get(f"{PRODUCTS}/{record_id}")
        body = {"price": product.json()["price"] + 1}
        answer = await http.patch(f"{PRODUCTS}/{record_id}", json=body, headers={"If-Match": product.headers["etag"]})
        if answer.status_code == httpx.codes.OK:
            return attempt
        assert answer.status_code == httpx.codes.PRECONDITION_FAILED, answer.text
    raise AssertionError("somebody else was always faster")


async def until_answered(http: httpx.AsyncClient, chance: Random, **request: Any) -> httpx.Response:  # noqa: ANN401  (as httpx)
    """Send a request until it is answered, the connection being cut at random moments before."""
    for attempt in range(1, 1_000):
        try:
            async with asyncio.timeout(chance.uniform(0, _FIRST_CUT_S * 2**attempt)):
                answer = await http.request(**request)
        except (TimeoutError, httpx.TransportError):
            continue
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # others were always faster
            return answer
    raise AssertionError("it was never answered")


async def test_no_edit_with_if_match_is_lost(installation: Installation, http: httpx.AsyncClient) -> None:
    ids = [await create(http, f"counter {number}") for number in range(RECORDS)]

    async def edit(client: int) -> int:
        return sum([await increment(http, ids[(client + edit) % RECORDS]) for edit in range(EDITS)])

    async with asyncio.timeout(WITHIN_S):
        attempts = sum(await asyncio.gather(*(edit(client) for client in range(CLIENTS))))
    assert attempts > CLIENTS * EDITS  # or nobody met anybody
    async with installation.database() as database:
        assert CLIENTS * EDITS == await database.fetchval("SELECT sum(price) FROM products")
        edits = await database.fetchval(
            "SELECT count(*) FROM ws_events WHERE topic = 'products' AND event_type = 'update'"
        )
    assert CLIENTS * EDITS == edits


async def test_what_is_repeated_after_a_cut_happens_once(installation: Installation, http: httpx.AsyncClient) -> None:
    shared = [await create(http, "shared") for _ in range(RECORDS)]
    chance = Random(1)

    async def work(client: int) -> None:
        own = f"own {client}"
        made = await until_answered(
            http, chance, method="POST", url=PRODUCTS, json={"name": own}, headers={"Idempotency-Key": f"make-{client}"}
        )
        assert made.status_code in {200, 201, 202}, made.text
        edited = await until_answered(
            http,
            chance,
            method="PATCH",
            url=f"{PRODUCTS}/{shared[client % RECORDS]}",
            json={"description": own},
            headers={"Idempotency-Key": f"edit-{client}"},
        )
        assert edited.status_code in {200, 202}, edited.text

    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(work(client) for client in range(CLIENTS)))
        async with installation.database() as database:
            while RECORDS + 2 * CLIENTS > await database.fetchval(
                "SELECT version FROM topics WHERE resource = 'products'"
            ):
                await asyncio.sleep(0.05)
            made = await database.fetch("SELECT name FROM products WHERE name <> 'shared'")
            edits = await database.fetch(
                "SELECT payload->>'description' FROM ws_events WHERE topic = 'products' AND event_type = 'update'"
            )
    everyone = sorted(f"own {client}" for client in range(CLIENTS))
    assert everyone == sorted(row[0] for row in made)
    assert everyone == sorted(row[0] for row in edits)
