"""From an agent's request to every screen and to PostgreSQL, on a whole installation that is otherwise idle.

    python -m bench.latency [--samples 200]

One sample every 250 ms goes in through Caddy; the clock starts before the request. A WebSocket client of the topic
`metrics`, also through Caddy, notes when the sample arrives; PostgreSQL is asked until it has it.
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import tempfile
import time
from pathlib import Path
from statistics import quantiles

import asyncpg

from tests.support.installation import Installation, installed
from tests.support.sync_client import SyncClient

EVERY_S = 0.25


async def until_stored(database: asyncpg.Connection, workspace_id: str, server_id: str, seq: int) -> None:
    """Return when the history has the sample."""
    while not await database.fetchval(
        "SELECT 1 FROM metrics_history WHERE workspace_id = $1 AND server_id = $2 AND seq = $3",
        workspace_id,
        server_id,
        seq,
    ):
        await asyncio.sleep(0.002)


async def measure(installation: Installation, samples: int) -> tuple[list[float], list[float], list[float]]:
    """Return seconds until the acknowledgement, until the WebSocket, and until PostgreSQL, for each sample."""
    agent = await installation.enrol("latency")
    server_id = agent["server_id"]
    headers = {"Authorization": f"Bearer {agent['secret']}"}
    answered, seen, stored = [], [], []
    async with (
        installation.database() as database,
        SyncClient(installation.websocket_url, await installation.token(), topic="metrics") as client,
    ):
        await client.until(lambda state: state.epoch is not None)
        for seq in range(1, samples + 1):
            sample = {"ts": dt.datetime.now(dt.UTC).isoformat(), "boot_id": "b", "seq": seq, "cpu_percent": 1.0}
            began = time.perf_counter()
            arrival = asyncio.create_task(
                client.until(lambda state, seq=seq: state.data.get(server_id, {}).get("seq") == seq)  # type: ignore[misc]  # bound now
            )
            commit = asyncio.create_task(until_stored(database, agent["workspace_id"], server_id, seq))
            arrival.add_done_callback(lambda _, began=began: seen.append(time.perf_counter() - began))  # type: ignore[misc]  # likewise
            commit.add_done_callback(lambda _, began=began: stored.append(time.perf_counter() - began))  # type: ignore[misc]  # likewise
            answer = await installation.client.post("/ingest/v1/metrics", json=sample, headers=headers)
            answer.raise_for_status()
            answered.append(time.perf_counter() - began)
            await asyncio.gather(arrival, commit)
            await asyncio.sleep(EVERY_S)
    return answered, seen, stored


def show(name: str, seconds: list[float], target: str) -> None:
    """Print the median, the 99th percentile and the longest in milliseconds."""
    cuts = quantiles(seconds, n=100)
    p50, p99, longest = (value * 1000 for value in (cuts[49], cuts[98], max(seconds)))
    print(f"{name:<22} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   max {longest:6.1f} ms   {target}")


async def run(samples: int) -> None:
    """Measure on an installation of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        async with installed(Path(folder) / "muster", "--no-agent") as installation:
            answered, seen, stored = await measure(installation, samples)
    show("acknowledged", answered, "")
    show("on the WebSocket", seen, "(target: p50 at most 15 ms, p99 at most 60 ms)")
    show("in PostgreSQL", stored, "(target: at most 1 s)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    asyncio.run(run(parser.parse_args().samples))
