"""kill -9 of any part under load: afterwards everyone agrees, and what was acknowledged is there once (I1, I3)."""

import asyncio

import asyncpg
import pytest

from shared.io.changelog.read import LogReader
from shared.io.redis import open_redis
from shared.names import Topic, partition_of
from tests.support.applier import until
from tests.support.client_topic import ClientTopic
from tests.support.installation import Installation
from tests.support.load import AgentLoad, EditorLoad, under_load
from tests.support.sync_client import SyncClient

AGENTS, CLIENTS = 6, 3


async def stored_versions(database: asyncpg.Connection, topic: Topic) -> dict[str, int]:
    rows = await database.fetch(
        f"SELECT id, version FROM {topic.resource} WHERE workspace_id = $1",  # noqa: S608  (a declared name)
        topic.workspace_id,
    )
    return {row["id"]: row["version"] for row in rows}


async def all_agree(installation: Installation, topic: Topic, clients: list[SyncClient]) -> None:
    """Wait until PostgreSQL, Redis and the clients hold the same records at the same epoch and version."""
    redis = open_redis(installation.ready.redis_url)
    async with installation.database() as database:

        async def agreed() -> None:
            snapshot = await LogReader(redis).snapshot(topic)
            expected = {record.id: record.version for record in snapshot.records}
            assert expected == await stored_versions(database, topic)
            row = await database.fetchrow(
                "SELECT epoch, version FROM checkpoints c, topics t WHERE c.partition = $1 AND workspace_id = $2 "
                "AND resource = $3",
                partition_of(topic.workspace_id),
                topic.workspace_id,
                topic.resource,
            )
            assert row is not None
            assert (snapshot.epoch, snapshot.version) == (row["epoch"], row["version"])
            for client in clients:
                state = client.state
                assert (str(snapshot.epoch), snapshot.version) == (state.epoch, state.version), client.describe()
                assert expected == {record_id: item.version for record_id, item in state.items.items()}

        try:
            await until(agreed, timeout_s=30)
        finally:
            await redis.aclose()


def caught_up(state: ClientTopic) -> bool:
    return state.epoch is not None


@pytest.mark.parametrize("part", ["ingest", "api", "worker", "broadcaster", "sweeper", "valkey", "postgres", "caddy"])
async def test_everyone_agrees_and_nothing_acknowledged_is_lost(installation: Installation, part: str) -> None:
    agents = [await installation.enrol(f"{part}-{number}") for number in range(AGENTS)]
    workspace = agents[0]["workspace_id"]
    token = await installation.token()
    samplers = [AgentLoad(installation, agent) for agent in agents]
    editors = [EditorLoad(installation, agent["server_id"], token) for agent in agents[:2]]
    topics = [Topic(workspace, "servers"), Topic(workspace, "metrics")]
    clients = {
        topic: [SyncClient(installation.websocket_url, token, topic=topic.resource) for _ in range(CLIENTS)]
        for topic in topics
    }
    async with asyncio.TaskGroup() as connecting:
        for client in (client for each in clients.values() for client in each):
            connecting.create_task(client.__aenter__())
    try:
        for client in (client for each in clients.values() for client in each):
            await client.until(caught_up)
        servers, metrics = topics
        # of those who have just enrolled, not everything may be in PostgreSQL yet
        await all_agree(installation, servers, clients[servers])
        before = {topic: (await counts(installation, topic)) for topic in topics}
        async with under_load(*samplers, *editors):
            await until(lambda: progressed(samplers, editors, by=10))
            await installation.kill(part)
            await until(lambda: progressed(samplers, editors, by=20), timeout_s=60)
        for topic, watching in clients.items():
            await all_agree(installation, topic, watching)
        after = {topic: (await counts(installation, topic)) for topic in topics}
    finally:
        for client in (client for each in clients.values() for client in each):
            await client.__aexit__(None, None, None)
    samples = sum(len(sampler.acknowledged) for sampler in samplers)
    edits = sum(editor.acknowledged for editor in editors)
    assert samples == after[metrics] - before[metrics]
    assert edits == after[servers] - before[servers]
    await exactly_once(installation, samplers, editors)


async def counts(installation: Installation, topic: Topic) -> int:
    """Return the version that PostgreSQL holds of a topic."""
    async with installation.database() as database:
        return int(
            await database.fetchval(
                "SELECT coalesce(max(version), 0) FROM topics WHERE workspace_id = $1 AND resource = $2",
                topic.workspace_id,
                topic.resource,
            )
        )


async def progressed(samplers: list[AgentLoad], editors: list[EditorLoad], *, by: int) -> bool:
    return all(len(sampler.acknowledged) >= by for sampler in samplers) and all(
        editor.acknowledged >= by for editor in editors
    )


async def exactly_once(installation: Installation, samplers: list[AgentLoad], editors: list[EditorLoad]) -> None:
    async with installation.database() as database:
        for sampler in samplers:
            rows = await database.fetch(
                "SELECT seq FROM metrics_history WHERE server_id = $1 ORDER BY seq", sampler.server_id
            )
            assert sampler.acknowledged == [row["seq"] for row in rows]
        for editor in editors:
            notes = await database.fetchval("SELECT notes FROM servers WHERE id = $1", editor.server_id)
            assert str(editor.acknowledged) == notes
