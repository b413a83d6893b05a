"""Ingest inside a test: its application on real servers, with a clock that the test moves."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, cast

import asyncpg
import httpx
import msgspec
from redis.asyncio import Redis

from services.ingest.app import build_app
from services.ingest.beacon import Beacon
from services.ingest.settings import Admission
from shared.errors import Rejected
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.database.pool import create_pool
from shared.io.probes import Probes
from shared.io.redis import open_redis
from shared.names import PartitionKeys, Topic, partition_of
from shared.operation import Appended, Operation
from shared.settings import Liveness
from tests.support.openapi import Documented

WORKSPACE = "w_ours"
SHARED_TOKEN = "the-shared-token-of-this-environment"
OFFLINE_AFTER_S = 60.0
MACHINE = {"hostname": "web-1.example.org", "machine_id": "0123456789abcdef"}
HANDSHAKE: dict[str, Any] = {
    "boot_id": "boot-1",
    "agent_version": "1.2.3",
    "interval_s": 5,
    "os": {"name": "Debian", "version": "13", "kernel": "6.12", "arch": "x86_64"},
    "inventory": {"cores": 4, "disks": [{"device": "/dev/vda", "size_bytes": 5_000_000_000}]},
}


class Clock:
    """The time of day and a count of seconds, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.time_of_day = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.time_of_day

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.time_of_day += timedelta(seconds=seconds)
        self.seconds += seconds


class Enrolled(msgspec.Struct, frozen=True):
    """An agent of a test."""

    agent_id: str
    secret: str
    server_id: str
    workspace_id: str

    @property
    def headers(self) -> dict[str, str]:
        """What proves who it is."""
        return {"Authorization": f"Bearer {self.secret}"}


class ImpatientLog(ChangeLog):
    """A change log whose callers wait for a sealed log for a moment only."""

    async def append_all(
        self, operations: Sequence[Operation], *, timeout_s: float = 0.05
    ) -> list[Appended | Rejected]:
        return await super().append_all(operations, timeout_s=timeout_s)

    async def append(self, operation: Operation, *, timeout_s: float = 0.05) -> Appended:
        return await super().append(operation, timeout_s=timeout_s)


class ContestedLog(ChangeLog):
    """A change log in which somebody else is faster: `meanwhile` happens before the next append."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def append_all(self, operations: Sequence[Operation], *, timeout_s: float = 5.0) -> list[Appended | Rejected]:
        await self._let_others()
        return await super().append_all(operations, timeout_s=timeout_s)

    async def append(self, operation: Operation, *, timeout_s: float = 5.0) -> Appended:
        await self._let_others()
        return await super().append(operation, timeout_s=timeout_s)

    async def _let_others(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()


@dataclass
class Ingest:
    """Ingest in this process; `http` speaks to it, the rest looks at what became of it."""

    redis: Redis
    pool: asyncpg.Pool
    log: ChangeLog
    beacon: Beacon
    clock: Clock
    http: httpx.AsyncClient

    async def post(
        self, path: str, body: object, agent: Enrolled | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send JSON, or the bytes as they are."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        proof = agent.headers if agent else {}
        return await self.http.post(f"/ingest/v1/{path}", content=content, headers={**proof, **(headers or {})})

    async def enrol(self, **request: object) -> Enrolled:
        """Enrol a machine with the shared token, or as the request says."""
        answer = await self.post("enroll", {"token": SHARED_TOKEN, **MACHINE, **request})
        assert answer.status_code == 201, answer.text
        return msgspec.json.decode(answer.content, type=Enrolled)

    async def add_token(
        self, token: str, *, uses: int = 1, expires_in: str = "1 hour", groups: tuple[str, ...] = ()
    ) -> None:
        """Store an enrolment token."""
        await self.pool.execute(
            "INSERT INTO enrolment_tokens (id, workspace_id, name, token_hash, groups, uses_left, expires_at)"
            " VALUES ('t_' || $5, $1, 'test', $2, $3, $4, now() + $6::text::interval)",
            WORKSPACE,
            sha256(token.encode()).digest(),
            list(groups),
            uses,
            token,
            expires_in,
        )

    async def record(self, resource: str, record_id: str) -> Any:  # noqa: ANN401  (JSON)
        """Return a record as it stands in the log's hot state; None when there is none."""
        found = await LogReader(self.redis).records(Topic(WORKSPACE, resource), [record_id])
        return msgspec.json.decode(found[record_id].data) if record_id in found else None

    async def versions(self) -> dict[str, int]:
        """Return the versions of all topics: they grow with every change."""
        return (await LogReader(self.redis).versions(WORKSPACE))[1]

    async def deadlines(self) -> dict[str, int]:
        """Return every deadline, in ms from the Redis server's time now."""
        seconds, micros = await self.redis.time()
        members = await self.redis.zrange(PartitionKeys(partition_of(WORKSPACE)).deadlines, 0, -1, withscores=True)
        return {member.decode(): int(score) - seconds * 1000 - micros // 1000 for member, score in members}


@contextlib.asynccontextmanager
async def running_ingest(
    redis_url: str, database_url: str, *, log: type[ChangeLog] = ChangeLog, **settings: int
) -> AsyncIterator[Ingest]:
    """Run ingest on these servers, with one workspace; `settings` are fields of Admission."""
    async with contextlib.AsyncExitStack() as stack:
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(database_url, size=4)
        stack.push_async_callback(pool.close)
        await pool.execute("INSERT INTO workspaces (id, name) VALUES ($1, 'Ours')", WORKSPACE)
        changes, beacon, clock = log(redis), Beacon(redis, redis.ping), Clock()
        stack.push_async_callback(changes.aclose)
        app = build_app(
            redis=redis,
            pool=pool,
            changes=changes,
            beacon=beacon,
            admission=Admission(shared_token=SHARED_TOKEN, **settings),
            liveness=Liveness(offline_after_s=OFFLINE_AFTER_S),
            now=clock.now,
            clock=clock.monotonic,
        ).app
        transport = Documented(httpx.ASGITransport(cast("Any", Probes(app, {}))), "/ingest/openapi.json")
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://ingest.test"))
        yield Ingest(redis, pool, changes, beacon, clock, http)
