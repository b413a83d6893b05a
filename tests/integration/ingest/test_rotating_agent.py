"""The real agent and a real ingest agree on how a secret is rotated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from muster_agent.credential import Credential, StateDirectory
from services.ingest.credentials import hash_secret
from shared.io.identity_changes import AgentChanges
from tests.support.agent_stream import replica_of, until
from tests.support.ingest import Enrolled, Ingest
from tests.support.running_agent import RunningAgent


async def wish(ingest: Ingest) -> None:
    """Wish for another secret."""
    await ingest.pool.execute("UPDATE agent_credentials SET rotation_wanted = true")


@asynccontextmanager
async def running_agent(ingest: Ingest, agent: Enrolled, state: StateDirectory, folder: Path) -> AsyncIterator[None]:
    """Run an agent on a stream; before it ends, its secret must have been replaced, and its server be online."""
    async with replica_of(ingest) as replica:
        url = f"http://127.0.0.1:{replica.port}"
        state.save_credential(Credential(agent.agent_id, agent.secret, agent.server_id, agent.workspace_id, url))
        running = RunningAgent(url, folder, "", transport="stream")
        try:
            yield

            async def is_rotated() -> bool:
                return bool(await ingest.pool.fetchval("SELECT rotated_at IS NOT NULL FROM agent_credentials"))

            await until(is_rotated)
            assert "online" == (await ingest.record("servers", agent.server_id))["status"]
        finally:
            went_well = await asyncio.to_thread(running.stop)
        assert went_well


async def test_agent_takes_another_secret_over_the_stream_and_stays_online(
    ingest: Ingest, agent: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = StateDirectory(tmp_path)
    await wish(ingest)
    async with running_agent(ingest, agent, state, tmp_path):
        pass
    kept = state.load_credential()
    assert kept is not None
    assert kept.secret != agent.secret
    stored = await ingest.pool.fetchrow("SELECT secret_hash, next_secret_hash FROM agent_credentials")
    assert (hash_secret(kept.secret), None) == tuple(stored)


async def test_agent_that_reports_over_a_stream_takes_another_secret_as_soon_as_that_is_wished_for(
    ingest: Ingest, agent: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = StateDirectory(tmp_path)
    async with running_agent(ingest, agent, state, tmp_path):

        async def is_heard() -> bool:
            return await ingest.record("metrics", agent.server_id) is not None

        await until(is_heard)
        await wish(ingest)
        await AgentChanges(ingest.redis, _unheard).announce([agent.agent_id])
    kept = state.load_credential()
    assert kept is not None
    assert kept.secret != agent.secret


async def _unheard(_: frozenset[str] | None) -> None:
    """Stand for a process that heeds nothing."""
