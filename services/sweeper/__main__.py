"""Composition root of the sweeper."""

import contextlib
from collections.abc import Mapping

from services.sweeper.sweep import Sweeper
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.lifecycle import run, start
from shared.io.problem import nothing_here
from shared.io.redis import open_redis
from shared.settings import Http, Liveness, Servers, StaleAgents, load


async def main(environment: Mapping[str, str]) -> None:
    """Run the sweeper until it is told to stop."""
    async with contextlib.AsyncExitStack() as stack:
        liveness, stale = load(Liveness, environment), load(StaleAgents, environment)
        redis = open_redis(load(Servers, environment).redis_url)
        stack.push_async_callback(redis.aclose)
        changes, reader = ChangeLog(redis), LogReader(redis)
        stack.push_async_callback(changes.aclose)
        sweeper = Sweeper(redis, changes, reader, liveness, stale)
        await run(
            nothing_here,
            load(Http, environment),
            checks={"redis": redis.ping, "log": reader.check_open},
            background=[sweeper.run],
        )


if __name__ == "__main__":
    start("sweeper", main)
