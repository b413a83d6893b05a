"""What the broadcaster stands on: a real Valkey and PostgreSQL, a log, people with tokens, and somebody who appends."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from bench.fanout.dialects import Plan
from bench.fanout.process import FIRST_CORE, Server, pinned
from shared.io.changelog.append import ChangeLog
from shared.io.redis import open_redis
from shared.names import Topic
from shared.operation import Draft, Operation
from shared.tokens import SigningKey, encode_token, new_claims
from stack.ports import LoopbackPorts
from tests.support.log import open_log
from tests.support.postgres import TEMPLATE, PostgresServer
from tests.support.valkey import ValkeyServer

EPOCH = "1"
_KEY = SigningKey("k_bench", b"bench" * 8)
_CONNECTIONS_OF_A_USER = 150  # the limit is 200
_FILL_SET = 500


class Stage:
    """One log for all scenarios; each has a workspace, or some, of its own."""

    def __init__(self, folder: Path, valkey_url: str, database_url: str, log: ChangeLog) -> None:
        self.folder = folder
        self.valkey_url = valkey_url
        self.ports = LoopbackPorts()
        self.log = log
        self._database_url = database_url

    @contextmanager
    def broadcaster(self, *, port: int = 0, tick_s: float | None = None) -> Iterator[Server]:
        """Run the broadcaster as its process runs, ready; with the default tick unless one is given."""
        environment = {
            "REDIS_URL": self.valkey_url,
            "DATABASE_URL": self._database_url,
            "LOG_LEVEL": "error",
            # all clients come from this machine
            "MAX_CONNECTIONS_PER_ADDRESS": "20000",
        }
        if tick_s is not None:
            environment["CONFLATION_TICK"] = str(tick_s)
        command = [sys.executable, "-m", "services.broadcaster"]
        with pinned(command, port or self.ports.take(), environment) as server:
            server.until_ready("/readiness")
            yield server

    async def people(self, workspace: str, connections: int) -> tuple[str, ...]:
        """Make a workspace, and so many users that they may have so many connections; returns their tokens."""
        names = [f"{workspace}_{number}" for number in range(-(-connections // _CONNECTIONS_OF_A_USER))]
        users = [(f"u_{name}", f"x_{name}") for name in names]
        database = await asyncpg.connect(self._database_url)
        await database.execute("INSERT INTO workspaces (id, name) VALUES ($1, $1)", workspace)
        await database.executemany(
            "INSERT INTO users (id, email, password_hash) VALUES ($1, $1 || '@example.org', '')", [u[:1] for u in users]
        )
        await database.executemany(
            "INSERT INTO members (workspace_id, user_id, role) VALUES ($2, $1, 'viewer')",
            [(user, workspace) for user, _ in users],
        )
        await database.executemany(
            "INSERT INTO sessions (id, user_id, expires_at) VALUES ($2, $1, now() + interval '1 day')", users
        )
        await database.close()
        now = datetime.now(UTC)
        return tuple(encode_token(new_claims(user, session, now), _KEY) for user, session in users)

    async def fill(self, topic: Topic, data: Iterable[bytes]) -> int:
        """Give a topic records `s_0`, `s_1`… with this data; returns its version."""
        drafts = [Draft(id=f"s_{number}", action="put", data=one) for number, one in enumerate(data)]
        version = 0
        for first in range(0, len(drafts), _FILL_SET):
            version = await self.append(topic, drafts[first : first + _FILL_SET])
        return version

    async def append(self, topic: Topic, drafts: Iterable[Draft]) -> int:
        """Append one change set; returns the version of the topic."""
        return (await self.log.append(Operation(topic=topic, drafts=tuple(drafts), actor="bench"))).version


def plan_for(topic: Topic, server: Server, tokens: tuple[str, ...], **options: object) -> Plan:
    """Return a plan for clients of a topic of the broadcaster."""
    fields = {
        "group": str(topic),
        "dialect": "muster",
        "path": "/ws",
        "port": server.port,
        "tokens": tokens,
        "topic": topic.resource,
        "workspace": topic.workspace_id,
        "epoch": EPOCH,
        **options,
    }
    return Plan(**fields)  # type: ignore[arg-type]  # its fields by name


def padded(size_bytes: int, **fields: object) -> bytes:
    """Return a record of this size."""
    bare = json.dumps({**fields, "pad": ""}, separators=(",", ":"))
    return json.dumps({**fields, "pad": "y" * (size_bytes - len(bare))}, separators=(",", ":")).encode()


async def paced(rate: float, seconds: float) -> AsyncIterator[int]:
    """Count up at a rate by the clock, late where the caller is slow, but never fewer."""
    began = time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        yield number


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Set the stage up, on every core but the first if there are more, and take it down."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - FIRST_CORE or cores)
    valkey = ValkeyServer(folder / "valkey", durable=False)
    valkey.start()
    try:
        postgres = await PostgresServer.create(folder / "postgres")
        try:
            redis = open_redis(valkey.url)
            await open_log(redis)
            database = await asyncpg.connect(postgres.database_url(TEMPLATE))
            await database.execute("INSERT INTO signing_keys (id, secret) VALUES ($1, $2)", _KEY.id, _KEY.secret)
            await database.close()
            log = ChangeLog(redis)
            yield Stage(folder, valkey.url, postgres.database_url(TEMPLATE), log)
            await log.aclose()
            await redis.aclose()
        finally:
            postgres.stop()
    finally:
        valkey.stop()
