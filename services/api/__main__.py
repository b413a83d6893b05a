"""Composition root of the api."""

import contextlib
from collections.abc import Mapping

from services.api.app import build_app
from services.api.parts import make_parts
from services.api.settings import Delivery
from shared.io.changelog.append import ChangeLog
from shared.io.commits import CommitWaiter
from shared.io.database.pool import create_pool
from shared.io.lifecycle import run, start
from shared.io.redis import open_redis
from shared.settings import Http, Servers, load


async def main(environment: Mapping[str, str]) -> None:
    """Run the api until it is told to stop."""
    servers, http = load(Servers, environment), load(Http, environment)
    delivery = load(Delivery, environment)
    async with contextlib.AsyncExitStack() as stack:
        redis = open_redis(servers.redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(servers.database_url)
        stack.push_async_callback(pool.close)
        log = ChangeLog(redis)
        stack.push_async_callback(log.aclose)
        # a connection of its own: whoever waits for a commit shall not queue behind long lists
        commits_pool = await create_pool(servers.database_url, size=1)
        stack.push_async_callback(commits_pool.close)
        commits = CommitWaiter(redis, commits_pool)
        parts = make_parts(redis, pool, log, commits, delivery=delivery)
        await run(
            build_app(parts),  # type: ignore[arg-type]  # Litestar has types of its own for ASGI's messages
            http,
            checks={
                "redis": redis.ping,
                "postgres": lambda: pool.fetchval("SELECT 1"),
                "log": parts.log_reader.check_open,
            },
            background=[commits.run, parts.identity_changes.run],
        )


if __name__ == "__main__":
    start("api", main)
