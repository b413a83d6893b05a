"""Ingest over HTTP: samples a second of one process on one core, against a bare ASGI handler that only decodes.

    python -m bench.ingest [--seconds 5]

The handler runs under uvicorn alone, ingest as it is. Valkey, PostgreSQL and the load have the other cores; Valkey
does not wait for the disk, because it is not what is measured. The turns of both alternate, so that what else the
machine does hits them alike; by the processor time that a server used, it hits them hardly at all.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

import asyncpg
import msgspec
import psutil
import uvicorn
import uvloop

from bench.load import Load
from shared.io.changelog.append import ChangeLog
from shared.io.probes import Receive, Scope, Send
from shared.io.redis import open_redis
from shared.names import Topic, deadline_of
from shared.operation import Deadline, Draft, Operation
from shared.resources.metrics import Sample
from shared.resources.servers import Server
from stack.ports import LoopbackPorts
from tests.support.log import open_log
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.valkey import ValkeyServer

ARRAY = 100
CONNECTIONS = {1: 512, ARRAY: 64}
"""By the samples of a request: so many that the server never waits for a request."""
AGENTS = 2048
TURN_S = 0.5
SINGLE_TARGET, SINGLE_TARGET_A_S = 0.65, 12_000
ARRAY_TARGET = 8
FIRST_SEQ = 10**11  # every seq has as many digits, so that every body is of one length
SAMPLE = (
    b'{"ts":"2026-01-01T02:00:00Z","boot_id":"BOOT","seq":%d,"cpu_percent":12.5,"load1":0.51,"load5":0.42,"load15":0.33,'
    b'"mem_used":3123456789,"mem_total":16000000000,"swap_used":0,"swap_total":0,"disk_used":123456789012,'
    b'"disk_total":500000000000,"disk_read_rate":1234.5,"disk_write_rate":5432.1,"net_rx_total":123456789,'
    b'"net_tx_total":123456789,"net_rx_rate":1234.5,"net_tx_rate":4321.0,"tcp_connections":42,"udp_connections":7,'
    b'"processes":180,"uptime_s":123456.7}'
)
_decode = msgspec.json.Decoder(Sample | list[Sample]).decode


async def bare(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  (ASGI's form)
    """Decode the body, and no more."""
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    _decode(body)
    answer = b'{"accepted":1,"rejected":[]}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def serve_bare(port: int) -> None:
    """Serve the bare handler as fast as uvicorn can."""
    config = uvicorn.Config(
        bare,
        port=port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    uvloop.run(uvicorn.Server(config).serve())


class Agents:
    """Makes the requests of all agents, who share the connections: each has its turn on one of them."""

    def __init__(self, samples: int) -> None:
        self._samples, connections = samples, CONNECTIONS[samples]
        self._seqs = [FIRST_SEQ] * AGENTS
        self._turns = [cycle(range(connection, AGENTS, connections)) for connection in range(connections)]
        self._templates = [self._template(number) for number in range(AGENTS)]

    def request(self, connection: int) -> bytes:
        """Return the next request of a connection: one sample, or an array."""
        number = next(self._turns[connection])
        first = self._seqs[number]
        self._seqs[number] += self._samples
        return self._templates[number] % tuple(range(first, first + self._samples))

    def _template(self, number: int) -> bytes:
        """Return the whole request of an agent, with a place for each `seq`."""
        sample = SAMPLE.replace(b"BOOT", b"boot-%d-%d" % (number, self._samples))
        body = sample if self._samples == 1 else b"[" + b",".join([sample] * self._samples) + b"]"
        size_bytes = len(body % tuple([FIRST_SEQ] * self._samples))
        head = (
            b"POST /ingest/v1/metrics HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (secret(number), size_bytes)
        )
        return head + body


def secret(number: int) -> bytes:
    """Return the secret of an agent."""
    return b"secret-of-agent-%027d" % number


async def prepare(redis_url: str, database_url: str, agents: int) -> None:
    """Open the log and register the agents."""
    redis = open_redis(redis_url)
    await open_log(redis)
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO workspaces (id, name) VALUES ('w_bench', 'Bench')")
    await connection.executemany(
        "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id)"
        " VALUES ($1, 'w_bench', $2, $3, '', '', '')",
        [(f"a_{n}", f"s_{n}", sha256(secret(n)).digest()) for n in range(agents)],
    )
    await connection.close()
    record = msgspec.json.encode(Server(name="bench"))
    drafts = tuple(Draft(id=f"s_{n}", action="create", data=record) for n in range(agents))
    changes = ChangeLog(redis)
    deadlines = tuple(Deadline("arm", deadline_of("w_bench", f"s_{n}"), 3_600_000) for n in range(agents))
    await changes.append(
        Operation(topic=Topic("w_bench", "servers"), drafts=drafts, actor="bench", deadlines=deadlines)
    )
    await changes.aclose()
    await redis.aclose()


class Served(NamedTuple):
    """A server under test."""

    port: int
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the processor time that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


class Rate(NamedTuple):
    """Requests a second, by the clock and by the processor time of the server."""

    wall: float
    cpu: float


def answers(port: int) -> bool:
    """Tell whether a server listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def pinned(module: list[str], port: int, environment: dict[str, str]) -> Iterator[Served]:
    """Run a server on the first core until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        env={**os.environ, **environment, "PORT": str(port), "LOG_LEVEL": "warning"},
    )
    try:
        os.sched_setaffinity(process.pid, {0})
        while not answers(port):
            if process.poll() is not None:
                raise RuntimeError(f"{module[0]} did not start")
            time.sleep(0.05)
        yield Served(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(20)


async def measure(servers: Sequence[Served], samples: int, turns: int) -> list[Rate]:
    """Return the rate of each server, as the median of its turns; the first one warms up."""
    loads = [
        await Load.connect(
            server.port, Agents(samples).request, connections=CONNECTIONS[samples], accepted=b"HTTP/1.1 202"
        )
        for server in servers
    ]
    rates: list[list[Rate]] = [[] for _ in servers]
    for turn in range(turns + 1):
        for server, load, own in zip(servers, loads, rates, strict=True):
            before_s = server.cpu_s()
            requests, took_s = await load.run(TURN_S)
            if turn:
                own.append(Rate(requests / took_s, requests / (server.cpu_s() - before_s)))
    for load in loads:
        load.close()
    return [Rate(*(median(column) for column in zip(*own, strict=True))) for own in rates]


def report(servers: Sequence[Served], seconds: float) -> None:
    """Measure, and print the rates and their ratios."""
    turns = max(1, int(seconds / (4 * TURN_S)))
    bare_one, one = uvloop.run(measure(servers, 1, turns))
    bare_many, many = uvloop.run(measure(servers, ARRAY, turns))
    print("samples a second                     by the clock   by its processor time")
    for name, rate, samples in (
        ("bare handler, one a request", bare_one, 1),
        ("ingest, one a request", one, 1),
        (f"bare handler, arrays of {ARRAY}", bare_many, ARRAY),
        (f"ingest, arrays of {ARRAY}", many, ARRAY),
    ):
        print(f"{name:35} {rate.wall * samples:>14,.0f} {rate.cpu * samples:>14,.0f}")
    print(
        f"one a request, to the bare handler  {one.wall / bare_one.wall:>14.0%} {one.cpu / bare_one.cpu:>14.0%}"
        f"   (target: at least {SINGLE_TARGET_A_S:,}/s or {SINGLE_TARGET:.0%})"
    )
    print(
        f"arrays, to one a request            {ARRAY * many.wall / one.wall:>13.1f}x"
        f" {ARRAY * many.cpu / one.cpu:>13.1f}x"
        f"   (target: at least {ARRAY_TARGET}x, or 150,000/s)"
    )


@contextmanager
def servers(agents: int) -> Iterator[dict[str, str]]:
    """Run Valkey and PostgreSQL with so many agents, on all cores but the first; give ingest's settings for them."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {0} or cores)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = ValkeyServer(folder / "valkey", durable=False)
        valkey.start()
        stack.callback(valkey.stop)
        postgres = asyncio.run(PostgresServer.create(folder / "postgres"))
        stack.callback(postgres.stop)
        database_url = postgres.database_url(TEMPLATE)
        asyncio.run(prepare(valkey.url, database_url, agents))
        yield {
            "REDIS_URL": valkey.url,
            "DATABASE_URL": database_url,
            "AGENT_SAMPLES_PER_S": "1000000",
            "AGENT_SAMPLES_AT_ONCE": "1000000",
        }


def main() -> None:
    """Run the benchmark on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_bare:
        serve_bare(int(os.environ["PORT"]))
        return
    ports = LoopbackPorts()
    with ExitStack() as stack:
        environment = stack.enter_context(servers(AGENTS))
        compared = [
            stack.enter_context(pinned(["bench.ingest", "--serve-bare"], ports.take(), {})),
            stack.enter_context(pinned(["services.ingest"], ports.take(), environment)),
        ]
        report(compared, arguments.seconds)


if __name__ == "__main__":
    main()
