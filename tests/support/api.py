"""The api inside a test: its application on real servers, with appliers and a user of each role."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, cast

import asyncpg
import httpx
import msgspec
from redis.asyncio import Redis

from services.api.app import build_app
from services.api.parts import Parts, make_parts
from services.api.passwords import hash_password
from services.api.records.writer import WAIT_TIMEOUT_S
from services.api.settings import Delivery
from shared.io.changelog.append import ChangeLog
from shared.io.commits import CommitWaiter
from shared.io.database.pool import create_pool
from shared.io.identity import utc_now
from shared.io.lifecycle import Background
from shared.io.probes import Probes
from shared.io.redis import open_redis
from shared.names import Topic, new_id
from shared.operation import Draft, Operation
from shared.resources import RESOURCES
from shared.tokens import Scope, SigningKey, encode_token, hash_token, new_claims
from tests.support.applier import running_appliers, until
from tests.support.openapi import Documented

WORKSPACE = "w_ours"
OTHER_WORKSPACE = "w_theirs"
PASSWORD = "correct horse battery staple"
SIGNING_KEY = SigningKey("k_test", b"1" * 32)
_PASSWORD_HASH = hash_password(PASSWORD)

# of each: who, and their role in our workspace and in that of others
_PEOPLE = (
    ("owner", "owner", None),
    ("editor", "editor", None),
    ("viewer", "viewer", None),
    ("stranger", None, "owner"),
    ("nobody", None, None),
    ("both", "viewer", "editor"),
    ("admin", None, None),
)


async def add_people(pool: asyncpg.Pool) -> None:
    """Store two workspaces, a user of each kind, and a key to sign tokens with."""
    await pool.execute(
        "INSERT INTO workspaces (id, name) VALUES ($1, 'Ours'), ($2, 'Theirs')", WORKSPACE, OTHER_WORKSPACE
    )
    await pool.execute("INSERT INTO signing_keys (id, secret) VALUES ($1, $2)", SIGNING_KEY.id, SIGNING_KEY.secret)
    for who, *roles in _PEOPLE:
        await pool.execute(
            "INSERT INTO users (id, email, password_hash) VALUES ($1, $2, $3)",
            f"u_{who}",
            f"{who}@example.org",
            _PASSWORD_HASH,
        )
        for workspace, role in zip((WORKSPACE, OTHER_WORKSPACE), roles, strict=True):
            if role:
                await pool.execute("INSERT INTO members VALUES ($1, $2, $3)", workspace, f"u_{who}", role)
    await pool.execute("UPDATE users SET is_admin = true WHERE id = 'u_admin'")


class Api:
    """An api in this process; `http` speaks to it, `log` appends past it, `pool` looks at what is stored."""

    def __init__(self, redis: Redis, pool: asyncpg.Pool, log: ChangeLog, parts: Parts, http: httpx.AsyncClient) -> None:
        self.redis = redis
        self.pool = pool
        self.log = log
        self.parts = parts
        self.http = http

    async def let_in(self, who: str) -> dict[str, str]:
        """Open a session without the login, and return the headers with its token; `who` is the name before the @."""
        session_id, now = new_id("x"), utc_now()
        await self.pool.execute(
            "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
            session_id,
            f"u_{who}",
        )
        return {"Authorization": f"Bearer {encode_token(new_claims(f'u_{who}', session_id, now), SIGNING_KEY)}"}

    async def let_program_in(self, who: str, *scopes: Scope, workspace: str = WORKSPACE) -> dict[str, str]:
        """Make an API token of somebody without asking whether they may, and return the headers with it."""
        token = f"mt_{new_id(who)}"
        await self.pool.execute(
            "INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash) "
            "VALUES ($1, $2, $3, 'robot', $4, $5)",
            new_id("t"),
            workspace,
            f"u_{who}",
            list(scopes),
            hash_token(token),
        )
        return {"Authorization": f"Bearer {token}"}

    async def at_one_moment(self, lock: str, *requests: Coroutine[Any, Any, httpx.Response]) -> list[httpx.Response]:
        """Let requests go on together once each of them waits for a lock; `lock` takes what they want to change."""
        async with asyncio.TaskGroup() as group, self.pool.acquire() as connection, connection.transaction():
            await connection.execute(lock)
            asked = [group.create_task(request) for request in requests]

            async def all_wait() -> bool:
                # outside of the transaction, in which this view would stand still
                waiting = await self.pool.fetchval(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                return bool(waiting == len(asked))

            await until(all_wait)
        return [request.result() for request in asked]

    async def put(self, resource: str, record_id: str, workspace: str = WORKSPACE, **fields: object) -> int:
        """Append a record as another service would, and return its version."""
        data = msgspec.json.encode(msgspec.convert(fields, RESOURCES[resource].model))
        draft = Draft(id=record_id, action="put", data=data)
        operation = Operation(topic=Topic(workspace, resource), drafts=(draft,), actor="test")
        return (await self.log.append(operation)).version

    async def settled(self, resource: str, version: int, workspace: str = WORKSPACE) -> None:
        """Wait until PostgreSQL holds this version of a topic."""

        async def is_applied() -> bool:
            found = await self.pool.fetchval(
                "SELECT version FROM topics WHERE workspace_id = $1 AND resource = $2", workspace, resource
            )
            return found is not None and found >= version

        await until(is_applied)


@contextlib.asynccontextmanager
async def running_api(
    redis_url: str,
    database_url: str,
    *,
    appliers: bool = True,
    wait_timeout_s: float = WAIT_TIMEOUT_S,
    delivery: Delivery | None = None,
) -> AsyncIterator[Api]:
    """Run the api until the block ends; without appliers its log is sealed, and nothing is committed."""
    async with contextlib.AsyncExitStack() as stack:
        redis = open_redis(redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(database_url)
        stack.push_async_callback(pool.close)
        await add_people(pool)
        if appliers:
            await stack.enter_async_context(running_appliers(redis, database_url))
        log = ChangeLog(redis)
        stack.push_async_callback(log.aclose)
        commits = CommitWaiter(redis, pool)
        parts = make_parts(redis, pool, log, commits, delivery=delivery, wait_timeout_s=wait_timeout_s)
        await stack.enter_async_context(_running(commits.run, parts.identity_changes.run))
        app = Probes(cast("Any", build_app(parts)), {})
        transport = Documented(httpx.ASGITransport(cast("Any", app)), "/api/openapi.json")
        http = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://api.test"))
        yield Api(redis, pool, log, parts, http)


@contextlib.asynccontextmanager
async def _running(*background: Background) -> AsyncIterator[None]:
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for task in background:
            group.create_task(task(ending))
        try:
            yield
        finally:
            ending.set()
