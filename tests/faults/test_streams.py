"""Streams of agents through the one origin of a whole installation, whose replicas of ingest come and go."""

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.support.agent_stream import SUBPROTOCOL, AgentStream, until
from tests.support.installation import Installation, installed

OFFLINE_AFTER_S = 4.0
ENVIRONMENT = {
    "OFFLINE_AFTER": str(OFFLINE_AFTER_S),
    "RETURN_GRACE": str(OFFLINE_AFTER_S),
    "SWEEP_INTERVAL": "0.5",
    "DISCONNECT_GRACE": "1",
}


@asynccontextmanager
async def stream_to(muster: Installation, agent: dict[str, Any]) -> AsyncIterator[AgentStream]:
    async with connect(
        muster.ready.url.replace("http", "ws", 1) + "/ingest/v1/ws",
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
        additional_headers={"Authorization": f"Bearer {agent['secret']}"},
        compression=None,
        proxy=None,
        close_timeout=1,
    ) as websocket:
        stream = AgentStream(websocket)
        await stream.shake_hands(interval_s=1)
        yield stream


async def has_status(muster: Installation, agent: dict[str, Any], *, status: str) -> bool:
    headers = {"Authorization": f"Bearer {await muster.token()}"}
    answer = await muster.client.get(f"/api/v1/servers/{agent['server_id']}", headers=headers)
    return answer.is_success and answer.json()["status"] == status


async def is_back(muster: Installation, agent: dict[str, Any]) -> bool:
    """Whether some replica takes streams again."""
    try:
        async with stream_to(muster, agent):
            return await has_status(muster, agent, status="online")
    except Exception:  # noqa: BLE001  (whatever a proxy says while nobody is behind it)
        return False


async def times_offline(muster: Installation) -> int:
    """Return how many changes of servers have said that one is offline, as the journal tells."""
    async with muster.database() as database:
        found: int = await database.fetchval(
            "SELECT count(*) FROM ws_events WHERE topic = 'servers' AND payload::text LIKE '%\"offline\"%'"
        )
    return found


async def test_agents_outlive_replicas_and_are_offline_only_when_they_are_gone(tmp_path: Path) -> None:
    async with installed(tmp_path / "data", "--scale", "ingest=2", environment=ENVIRONMENT) as muster:
        agent = await muster.enrol("m-1")
        async with stream_to(muster, agent) as stream:
            assert "ack" == (await stream.ask("status"))["op"]
            for pid in muster.pids("ingest"):
                os.kill(pid, signal.SIGTERM)
            code, _ = await stream.closed()
            assert 1012 == code
        await until(lambda: is_back(muster, agent))
        assert not await times_offline(muster)
        async with stream_to(muster, agent) as stream:
            stream.websocket.transport.abort()
        began_s = time.monotonic()
        await until(lambda: has_status(muster, agent, status="offline"))
        assert await times_offline(muster)
        assert time.monotonic() - began_s < 2 * OFFLINE_AFTER_S
        async with stream_to(muster, agent) as stream:
            await until(lambda: has_status(muster, agent, status="online"))
            headers = {"Authorization": f"Bearer {await muster.token()}"}
            deleted = await muster.client.delete(f"/api/v1/servers/{agent['server_id']}", headers=headers)
            assert deleted.is_success, deleted.text
            assert 4401 == (await stream.closed())[0]
