"""Registrations of agents that are heard no more are removed, and come back with their agents."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from redis.asyncio import Redis

from services.sweeper.cleanup import Cleanup
from services.sweeper.sweep import Sweeper
from shared.errors import Rejected
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import INGEST_PRESENCE, INGEST_RETURNED, SWEEPS, Topic
from shared.operation import Appended, Draft, Operation
from shared.settings import Liveness, StaleAgents
from tests.support.agent_stream import replica_of, until
from tests.support.ingest import HANDSHAKE, WORKSPACE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log

AGENTS = Topic(WORKSPACE, "agents")


@pytest_asyncio.fixture
async def ingest(redis_url: str, database_url: str) -> AsyncIterator[Ingest]:
    """Give ingest, whose clock stands at a time that is long over for Redis."""
    async with running_ingest(redis_url, database_url) as ingest:
        await open_log(ingest.redis)
        yield ingest


def cleanup(redis: Redis) -> Cleanup:
    return Cleanup(redis, ChangeLog(redis), LogReader(redis), threshold_s=600)


async def gone(ingest: Ingest) -> Enrolled:
    """Enrol an agent that said goodbye long ago."""
    agent = await ingest.enrol()
    await ingest.post("handshake", HANDSHAKE, agent)
    await ingest.post("disconnect", {}, agent)
    return agent


async def test_registration_goes_and_the_server_stays(ingest: Ingest) -> None:
    agent, here = await gone(ingest), await ingest.enrol()
    server = await ingest.record("servers", agent.server_id)
    await cleanup(ingest.redis).clean(0)
    assert await ingest.record("agents", agent.agent_id) is None
    assert server == await ingest.record("servers", agent.server_id)
    assert await ingest.record("agents", here.agent_id) is not None


async def test_nothing_goes_before_we_have_listened_for_long_enough(ingest: Ingest) -> None:
    agent = await gone(ingest)
    await cleanup(ingest.redis).clean(await now_ms(ingest.redis) - 599_000)
    assert await ingest.record("agents", agent.agent_id) is not None
    await cleanup(ingest.redis).clean(await now_ms(ingest.redis) - 602_000)
    assert await ingest.record("agents", agent.agent_id) is None


async def test_many_cleanups_at_once_remove_a_registration_once(ingest: Ingest) -> None:
    await gone(ingest)
    before = (await ingest.versions())["agents"]
    await asyncio.gather(*(cleanup(ingest.redis).clean(0) for _ in range(5)))
    assert before + 1 == (await ingest.versions())["agents"]


async def test_registration_that_is_renewed_meanwhile_stays(ingest: Ingest) -> None:
    agent = await gone(ingest)
    contested = Cleanup(ingest.redis, _Contested(ingest), LogReader(ingest.redis), threshold_s=600)
    await contested.clean(0)
    assert await ingest.record("agents", agent.agent_id) is not None


class _Contested(ChangeLog):
    """A change log in which agents return before anything is appended."""

    def __init__(self, ingest: Ingest) -> None:
        super().__init__(ingest.redis)
        self._ingest = ingest

    async def append_all(self, operations: Sequence[Operation], *, timeout_s: float = 5.0) -> list[Appended | Rejected]:
        for record in (await LogReader(self._ingest.redis).snapshot(AGENTS)).records:
            draft = Draft(id=record.id, action="put", data=record.data)
            await super().append(Operation(topic=AGENTS, drafts=(draft,), actor="test"))
        return await super().append_all(operations, timeout_s=timeout_s)


async def test_agent_that_returns_is_attached_to_its_server_again(ingest: Ingest) -> None:
    agent = await gone(ingest)
    first = await ingest.record("agents", agent.agent_id)
    await cleanup(ingest.redis).clean(0)
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        back = await ingest.record("agents", agent.agent_id)
        kept = ("server_id", "created_at", "name", "agent_version")
        assert {name: first[name] for name in kept} == {name: back[name] for name in kept}
        assert "online" == (await ingest.record("servers", agent.server_id))["status"]


async def test_sweeper_cleans_up_by_itself(ingest: Ingest) -> None:
    agent, now = await gone(ingest), await now_ms(ingest.redis)
    await ingest.redis.zadd(INGEST_PRESENCE, {"replica": now + 60_000})
    await ingest.redis.set(INGEST_RETURNED, now - 61_000)
    await ingest.redis.hset(SWEEPS, mapping={"at": now, "since": now - 61_000})  # type: ignore[misc]  # redis-py types it for both of its clients
    sweeper = Sweeper(
        ingest.redis,
        ingest.log,
        LogReader(ingest.redis),
        Liveness(60.0, 0.01),
        StaleAgents(agent_stale_threshold_s=1.0, agent_cleanup_interval_s=0.01),
    )
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(sweeper.run(stopping))

        async def is_removed() -> bool:
            return await ingest.record("agents", agent.agent_id) is None

        await until(is_removed)
        stopping.set()


async def now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return int(seconds) * 1000 + int(micros) // 1000
