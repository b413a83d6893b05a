"""Composition root of ingest."""

import contextlib
from collections.abc import Mapping

from services.ingest.app import build_app
from services.ingest.beacon import Beacon
from services.ingest.settings import Admission, Streaming
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.database.pool import create_pool
from shared.io.lifecycle import run, start
from shared.io.redis import open_redis
from shared.io.websocket_protocol import LeanProtocol
from shared.settings import Http, Liveness, Servers, load


async def main(environment: Mapping[str, str]) -> None:
    """Run ingest until it is told to stop."""
    servers = load(Servers, environment)
    admission, liveness = load(Admission, environment), load(Liveness, environment)
    async with contextlib.AsyncExitStack() as stack:
        redis = open_redis(servers.redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(servers.database_url)
        stack.push_async_callback(pool.close)
        changes = ChangeLog(redis)
        stack.push_async_callback(changes.aclose)
        beacon = Beacon(redis, lambda: pool.fetchval("SELECT 1"))
        ingest = build_app(
            redis=redis,
            pool=pool,
            changes=changes,
            beacon=beacon,
            admission=admission,
            liveness=liveness,
            streaming=load(Streaming, environment),
        )
        await run(
            ingest.app,
            load(Http, environment),
            checks={
                "redis": redis.ping,
                "postgres": lambda: pool.fetchval("SELECT 1"),
                "log": LogReader(redis).check_open,
            },
            background=[beacon.run, *ingest.background],
            on_drain=ingest.streams.drain,
            websocket=LeanProtocol,
        )


if __name__ == "__main__":
    start("ingest", main)
