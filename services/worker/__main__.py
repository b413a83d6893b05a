"""Composition root of the worker: an applier for each partition, the jobs, and the probes' port."""

import contextlib
from collections.abc import Mapping

from services.worker.applier import Applier
from services.worker.jobs import Jobs
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.database.pool import create_pool
from shared.io.lifecycle import run, start
from shared.io.problem import nothing_here
from shared.io.redis import open_redis
from shared.names import PARTITIONS
from shared.settings import History, Http, Journal, Liveness, Servers, load


async def main(environment: Mapping[str, str]) -> None:
    """Run the worker until it is told to stop."""
    servers = load(Servers, environment)
    offline_after_ms = int(load(Liveness, environment).offline_after_s * 1000)
    journal, history = load(Journal, environment), load(History, environment)
    async with contextlib.AsyncExitStack() as stack:
        redis = open_redis(servers.redis_url)
        stack.push_async_callback(redis.aclose)
        pool = await create_pool(servers.database_url, size=3)
        stack.push_async_callback(pool.close)
        changes = ChangeLog(redis)
        stack.push_async_callback(changes.aclose)
        appliers = [
            Applier(redis, changes, servers.database_url, partition, offline_after_ms=offline_after_ms)
            for partition in range(PARTITIONS)
        ]
        await run(
            nothing_here,
            load(Http, environment),
            checks={
                "redis": redis.ping,
                "postgres": lambda: pool.fetchval("SELECT 1"),
                "log": LogReader(redis).check_open,
            },
            background=[applier.run for applier in appliers] + [Jobs(servers.redis_url, pool, journal, history).run],
        )


if __name__ == "__main__":
    start("worker", main)
