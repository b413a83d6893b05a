"""The way of all samples: many agents on streams, one process of each service, from the message to PostgreSQL.

    python -m bench.pipeline [--agents 10000] [--every 10] [--seconds 300]

A whole installation, durable as it comes, and everything on the cores that there are, this load among it. Agents speak
to ingest directly, each sends one sample at a time of its own. Of some, PostgreSQL is asked until it has them.
"""

import argparse
import asyncio
import datetime as dt
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

import asyncpg
import psutil
import uvloop

from bench import ingest
from bench.ingest import secret
from bench.stream_load import Stream, connect
from services.ingest.stream.session import HEARTBEAT_S
from tests.support.installation import Installation, installed

TARGET_S = 2.0
_TICK_S = 0.01
_LOOK_EVERY_S = 0.02
_PROBE_EVERY = 20
_AT_ONCE = 25
_SETTLE_S = 5.0


class Fleet:
    """Agents that are connected, and what became of their samples."""

    def __init__(self, streams: list[Stream], workspace_id: str) -> None:
        self.sent = 0
        self.took_s: list[float] = []
        self._streams = streams
        self._workspace_id = workspace_id
        self._acks_before = 0
        self._seq = ingest.FIRST_SEQ
        self._probes: dict[str, tuple[int, float]] = {}

    @property
    def acknowledged(self) -> int:
        """How many samples ingest has answered for."""
        return sum(stream.acks for stream in self._streams) - self._acks_before

    async def report(self, every_s: float, seconds: float) -> None:
        """Let each agent send a sample every so many seconds, spread evenly, for a time."""
        self._acks_before = sum(stream.acks for stream in self._streams)  # what was said before were heartbeats
        began_s = time.perf_counter()
        while (elapsed_s := time.perf_counter() - began_s) < seconds:
            while self.sent < elapsed_s * len(self._streams) / every_s:
                self._send(self.sent % len(self._streams))
            await asyncio.sleep(_TICK_S)

    async def look(self, database: asyncpg.Connection) -> None:
        """Ask PostgreSQL for the samples that are watched, over and over."""
        while True:
            ids = list(self._probes)
            rows = await database.fetch(
                "SELECT id, seq FROM metrics WHERE workspace_id = $1 AND id = ANY($2)", self._workspace_id, ids
            )
            now_s = time.perf_counter()
            for row in rows:
                seq, sent_s = self._probes[row["id"]]
                if row["seq"] >= seq:
                    self.took_s.append(now_s - sent_s)
                    del self._probes[row["id"]]
            await asyncio.sleep(_LOOK_EVERY_S)

    async def settled(self) -> None:
        """Return when every sample was acknowledged, and PostgreSQL has those that are watched."""
        async with asyncio.timeout(60):
            while self._probes or self.acknowledged < self.sent:
                await asyncio.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Hang up; raises what ended a stream before."""
        for stream in self._streams:
            if stream.has_ended.done():
                stream.has_ended.result()
            stream.close()

    def _send(self, number: int) -> None:
        self.sent += 1
        self._seq += 1
        ts = dt.datetime.now(dt.UTC).isoformat().encode()
        sample = ingest.SAMPLE.replace(b"2026-01-01T02:00:00Z", ts).replace(b"BOOT", b"pipeline") % self._seq
        server_id = f"s_pipeline_{number}"
        if self.sent % _PROBE_EVERY == 0 and server_id not in self._probes:
            self._probes[server_id] = (self._seq, time.perf_counter())
        stream = self._streams[number]
        if stream.has_ended.done():
            stream.has_ended.result()
        stream.send(sample)


async def connected(installation: Installation, agents: int) -> Fleet:
    """Register agents and connect them to ingest."""
    async with installation.database() as database:
        workspace_id = await database.fetchval("SELECT id FROM workspaces LIMIT 1")
        await database.executemany(
            "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id)"
            " VALUES ($1, $2, $3, $4, $1, $1, $1)",
            [(f"a_pipeline_{n}", workspace_id, f"s_pipeline_{n}", sha256(secret(n)).digest()) for n in range(agents)],
        )
    port = urlsplit(installation.ready.services["ingest"][0].url or "").port
    assert port is not None  # noqa: S101  (ingest has one)
    streams: list[Stream] = []
    began_s = beaten_s = time.perf_counter()
    for first in range(0, agents, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, agents))
        streams += await asyncio.gather(*(connect(port, secret(n), "pipeline") for n in numbers))
        if (now_s := time.perf_counter()) - beaten_s >= HEARTBEAT_S:
            beaten_s = now_s
            for stream in streams:
                stream.beat()
    print(f"{agents:,} agents shook hands in {time.perf_counter() - began_s:.0f} s")
    return Fleet(streams, workspace_id)


def processes(installation: Installation) -> dict[str, list[psutil.Process]]:
    """Return the processes of each part, this one among them."""
    named = {name: [p.pid for p in replicas] for name, replicas in installation.ready.services.items()}
    found = {name: [psutil.Process(pid) for pid in pids] for name, pids in named.items()}
    for name in ("valkey", "postgres", "caddy"):
        roots = [psutil.Process(pid) for pid in installation.pids(name)]
        found[name] = roots + [child for root in roots for child in root.children(recursive=True)]
    found["(this load)"] = [psutil.Process()]
    return found


def cpu_s(group: list[psutil.Process]) -> float:
    """Return the processor time that processes have used; of one that has ended, nothing."""
    used = 0.0
    for process in group:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


async def measure(installation: Installation, agents: int, every_s: float, seconds: float) -> None:
    """Measure, and print."""
    fleet = await connected(installation, agents)
    await asyncio.sleep(_SETTLE_S)
    groups = processes(installation)
    async with installation.database() as database:
        before = await database.fetchval("SELECT count(*) FROM metrics_history")
        looking = asyncio.create_task(fleet.look(database))
        used = {name: cpu_s(group) for name, group in groups.items()}
        began_s = time.perf_counter()
        await fleet.report(every_s, seconds)
        took_s = time.perf_counter() - began_s
        used = {name: cpu_s(group) - used[name] for name, group in groups.items()}
        await fleet.settled()
        looking.cancel()
        await asyncio.wait([looking])
        stored = await database.fetchval("SELECT count(*) FROM metrics_history") - before
    cuts = quantiles(fleet.took_s, n=100)
    print(
        f"{agents:,} agents, a sample every {every_s:g} s, {took_s:.0f} s: {fleet.sent / took_s:,.0f} samples a second"
    )
    print(f"sent {fleet.sent:,}, acknowledged {fleet.acknowledged:,}, in the history {stored:,}")
    print(
        f"to PostgreSQL: p50 {cuts[49]:.3f} s, p99 {cuts[98]:.3f} s, max {max(fleet.took_s):.3f} s"
        f" of {len(fleet.took_s):,} (target: p99 at most {TARGET_S:g} s)"
    )
    show(used, took_s, lambda name: sum(memory_mb(process) for process in groups[name]))
    fleet.close()


def memory_mb(process: psutil.Process) -> float:
    """Return the memory of a process that is its own, in MB."""
    try:
        return float(process.memory_info().rss - process.memory_info().shared) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def show(used: dict[str, float], took_s: float, memory: Callable[[str], float]) -> None:
    """Print the processor time and the memory of each part."""
    for name, its_s in sorted(used.items(), key=lambda item: -item[1]):
        print(f"  {name:<12} {its_s / took_s:6.1%} of a core   {memory(name):7.0f} MB")


async def run(agents: int, every_s: float, seconds: float) -> None:
    """Measure on an installation of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with installed(Path(folder) / "muster", "--no-agent") as installation:
            await measure(installation, agents, every_s, seconds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=300)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(run(arguments.agents, arguments.every, arguments.seconds))


if __name__ == "__main__":
    main()
