"""Committed edits of records, against the same endpoint as one transaction a request; lists, bulks and snapshots.

    python -m bench.edits [--seconds 10]

A whole installation, durable as it comes, with 10,000 websites; `bench.edits_baseline` says what it is compared with.
All are asked directly, by turns, on the cores that they share with everything else.
"""

import argparse
import contextlib
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop

from bench import edits_baseline
from bench.load import Load
from tests.support.installation import Installation, installed
from tests.support.sync_client import SyncClient

RECORDS = 10_000
BULK = 1_000
CLIENTS = 64
TURN_S = 1.0


async def fill(client: httpx.AsyncClient) -> list[str]:
    """Create the websites and return their ids."""
    ids: list[str] = []
    for first in range(0, RECORDS, BULK):
        domains = [f"d{number:05}.example" for number in range(first, first + BULK)]
        operations = [{"action": "create", "data": {"primary_domain": domain}} for domain in domains]
        answer = await client.post("/api/v1/websites/bulk", json={"operations": operations})
        answer.raise_for_status()
        ids += [item["id"] for item in answer.json()["items"]]
    return ids


class Edits:
    """Makes the requests of clients who edit one website after the other, each its own."""

    def __init__(self, ids: list[str], token: str, clients: int) -> None:
        self._ids, self._token, self._clients = ids, token, clients
        self._count = 0

    def request(self, client: int) -> bytes:
        """Return the next edit of a client."""
        self._count += 1
        record_id = self._ids[(client + self._clients * self._count) % len(self._ids)]
        body = b'{"line_group":"edit %d of %d"}' % (self._count, client)
        return (
            f"PATCH /api/v1/websites/{record_id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body


async def edits_a_second(port: int, ids: list[str], token: str) -> float:
    """Return how many edits of all clients together were answered with 200 in a second."""
    edits = Edits(ids, token, CLIENTS)
    load = await Load.connect(port, edits.request, connections=CLIENTS, accepted=b"HTTP/1.1 200")
    answered, took_s = await load.run(TURN_S)
    load.close()
    return answered / took_s


async def timed_ms(call: Any, times: int) -> list[float]:  # noqa: ANN401  (makes an awaitable of anything)
    """Return how long each of some calls took, one after the other."""
    took = []
    for number in range(times):
        began_s = time.perf_counter()
        await call(number)
        took.append((time.perf_counter() - began_s) * 1000)
    return took


async def measure(installation: Installation, seconds: float) -> None:
    """Measure everything on a running installation."""
    token = await installation.token()
    api = installation.ready.services["api"][0].url
    assert api is not None  # noqa: S101  (the api has a port)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=30) as client:
        ids = await fill(client)

        async def edit(number: int) -> None:
            body = {"line_group": f"alone {number}"}
            (await client.patch(f"/api/v1/websites/{ids[number]}", json=body)).raise_for_status()

        async def read_list(number: int) -> None:
            answer = await client.get(f"/api/v1/websites?limit=100&sort={'-' * (number % 2)}primary_domain")
            answer.raise_for_status()

        async def bulk(number: int) -> None:
            own = ids[number % 10 * BULK :][:BULK]
            operations = [{"action": "update", "id": i, "data": {"line_group": f"bulk {number}"}} for i in own]
            (await client.post("/api/v1/websites/bulk", json={"operations": operations})).raise_for_status()

        async def snapshot(_: int) -> None:
            async with SyncClient(installation.websocket_url, token, topic="websites") as sync:
                await sync.until(lambda state: len(state.items) == RECORDS)

        show("one committed edit", await timed_ms(edit, 300), "p50 at most 8 ms")
        show("100 of 10,000 records", await timed_ms(read_list, 100), "p50 at most 10 ms")
        show("bulk of 1,000", await timed_ms(bulk, 20), "at most 150 ms")
        show("10,000 records to a new client", await timed_ms(snapshot, 10), "at most 150 ms")

    port = urlsplit(api).port
    assert port is not None  # noqa: S101  (it has one)
    await edits_baseline.copy_records(installation.ready.database_url)
    with contextlib.ExitStack() as stack:
        ports = {"ours": port} | {
            kind: stack.enter_context(edits_baseline.running(kind, installation.ready.database_url))
            for kind in edits_baseline.KINDS
        }
        found: dict[str, list[float]] = {name: [] for name in ports}
        for turn in range(max(2, int(seconds / (len(ports) * TURN_S))) + 1):
            for name, its_port in ports.items():
                a_second = await edits_a_second(its_port, ids, token)
                if turn:
                    found[name].append(a_second)
    print(f"{CLIENTS} clients: {median(found['ours']):,.0f} committed edits a second (target: 1,500)")
    for kind in edits_baseline.KINDS:
        ratio = median(own / other for own, other in zip(found["ours"], found[kind], strict=True))
        print(f"baseline, {kind}: {median(found[kind]):,.0f} a second; ratio {ratio:.2f} (target: 3)")


def show(name: str, took_ms: list[float], target: str) -> None:
    """Print the median, the 95th percentile and the longest."""
    cuts = quantiles(took_ms, n=20)
    print(
        f"{name:<32} p50 {median(took_ms):6.1f} ms   p95 {cuts[18]:6.1f} ms   max {max(took_ms):6.1f} ms   ({target})"
    )


async def run(seconds: float) -> None:
    """Measure on an installation of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with installed(Path(folder) / "muster", "--no-agent") as installation:
            await measure(installation, seconds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    uvloop.run(run(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
