"""Committed edits of records, against the same endpoint as one transaction a request; lists, bulks and snapshots.

    python -m bench.edits [--seconds 10]

A whole installation, durable as it comes, with 10,000 websites. The baseline is the same application server with the
same checks of token, body and version, on the same PostgreSQL: it locks the row, updates it, notifies, and commits.
Both are asked directly, by turns, on the cores that they share with everything else.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import uvloop
from litestar import patch
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from litestar.response import Response

from bench.load import Load
from services.api.conditions import WriteTerms
from services.api.records.answers import record_answer
from services.api.records.merge import patched
from services.api.records.representation import patch_type
from services.api.requests import MAX_BODY_BYTES, ApiRequest, guard_for, opt, provide_caller, provide_terms
from services.worker.projection import upsert_sql
from shared.io.database.pool import create_pool
from shared.io.database.records import read_records
from shared.io.identity import Identity
from shared.io.lifecycle import run as run_service
from shared.io.litestar_app import litestar_app
from shared.names import Topic
from shared.resources import RESOURCES
from shared.settings import Http
from shared.topic import Record
from stack.ports import LoopbackPorts
from tests.support.installation import Installation, installed
from tests.support.sync_client import SyncClient

WEBSITES = RESOURCES["websites"]
RECORDS = 10_000
BULK = 1_000
CLIENTS = 64
TURN_S = 1.0
_READY_WITHIN_S = 20.0


async def serve_baseline(port: int, database_url: str) -> None:
    """Serve `PATCH /api/v1/websites/{id}` as a transaction for each request."""
    pool = await create_pool(database_url)
    upsert = upsert_sql(WEBSITES)

    async def patch_record(
        data: JSONBody[msgspec.Struct],  # noqa: ARG001  (checks the types, as the api does)
        record_id: FromPath[str],
        request: ApiRequest,
        terms: NamedDependency[WriteTerms],
    ) -> Response[bytes]:
        changes = msgspec.json.decode(await request.body())
        topic = Topic(terms.workspace_id, WEBSITES.name)
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "SELECT FROM websites WHERE workspace_id = $1 AND id = $2 FOR UPDATE", topic.workspace_id, record_id
            )
            (record,) = await read_records(connection, topic, [record_id])
            terms.require(record.version)
            after = patched(WEBSITES, record.data, changes) or record.data
            version = record.version + 1
            key = f'{{"workspace_id":"{topic.workspace_id}","id":"{record_id}","version":{version},'.encode()
            await connection.execute(upsert, b"[" + key + after[1:] + b"]")
            await connection.execute("SELECT pg_notify('websites', $1)", f"{record_id}:{version}")
        return record_answer(Record(record_id, version, after))

    patch_record.__annotations__["data"] = JSONBody[patch_type(WEBSITES)]  # type: ignore[misc]  # the type is made at run time
    route = patch("/api/v1/websites/{record_id:str}", opt=opt("write"))(patch_record)
    app: Any = litestar_app(
        [route],
        request_class=ApiRequest,
        guard=guard_for(Identity(pool)),
        parts={},
        max_body_bytes=MAX_BODY_BYTES,
        provided={"caller": Provide(provide_caller, sync_to_thread=False), "terms": Provide(provide_terms)},
    )
    await run_service(app, Http(port=port), checks={"postgres": lambda: pool.fetchval("SELECT 1")})


@contextlib.contextmanager
def baseline(database_url: str) -> Iterator[int]:
    """Run the baseline in a process of its own, and give its port."""
    port = LoopbackPorts().take()
    variables = {"PORT": str(port), "DATABASE_URL": database_url}
    process = subprocess.Popen([sys.executable, "-m", "bench.edits", "--serve-baseline"], env=os.environ | variables)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_S
        while not is_ready(port):
            if time.monotonic() > give_up_at:
                raise RuntimeError("the baseline did not start")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(_READY_WITHIN_S)


def is_ready(port: int) -> bool:
    """Tell whether a service answers there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readiness").is_success
    except httpx.TransportError:
        return False


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
    with baseline(installation.ready.database_url) as baseline_port:
        ours, theirs = [], []
        for turn in range(max(2, int(seconds / (2 * TURN_S))) + 1):
            own = await edits_a_second(port, ids, token)
            other = await edits_a_second(baseline_port, ids, token)
            if turn:
                ours.append(own)
                theirs.append(other)
    ratio = median(own / other for own, other in zip(ours, theirs, strict=True))
    print(f"{CLIENTS} clients: {median(ours):,.0f} committed edits a second (target: 1,500)")
    print(f"baseline: {median(theirs):,.0f} a second; ratio {ratio:.2f} (target: 3)")


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
    """Run the benchmark, or the baseline's server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--serve-baseline", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_baseline:
        uvloop.run(serve_baseline(int(os.environ["PORT"]), os.environ["DATABASE_URL"]))
    else:
        uvloop.run(run(arguments.seconds))


if __name__ == "__main__":
    main()
