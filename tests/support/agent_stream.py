"""Replicas of ingest that serve streams, and agents that speak to them with a real WebSocket client."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.ingest.app import build_app
from services.ingest.beacon import Beacon
from services.ingest.settings import Admission, Streaming
from services.ingest.stream.connections import Connections
from shared.io import lifecycle
from shared.io.changelog.append import ChangeLog
from shared.io.probes import Probes
from shared.io.websocket_protocol import LeanProtocol
from shared.names import PartitionKeys, partition_of
from shared.settings import Http, Liveness
from tests.support.ingest import HANDSHAKE, OFFLINE_AFTER_S, SHARED_TOKEN, WORKSPACE, Enrolled, Ingest

DEADLINE_S = 10.0
SUBPROTOCOL = "muster.agent.v1"
GRACE_S = 5.0


@dataclass
class Replica:
    """A process of ingest, but for the process."""

    port: int
    streams: Connections
    beacon: Beacon

    @property
    def url(self) -> str:
        """Where its streams are."""
        return f"ws://127.0.0.1:{self.port}/ingest/v1/ws"

    @asynccontextmanager
    async def stream(self, agent: Enrolled, *, url: str = "") -> AsyncIterator[AgentStream]:
        """Open a stream of an agent, which has not shaken hands yet."""
        async with connect(
            url or self.url,
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            additional_headers=agent.headers,
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=1,
        ) as websocket:
            yield AgentStream(websocket)


class AgentStream:
    """An agent's end of a stream; counts what it sends."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.seq = 0

    async def send(self, op: str, **fields: object) -> None:
        """Send a message."""
        self.seq += 1
        await self.websocket.send(json.dumps({"op": op, "seq": self.seq, **fields}))

    def send_at_once(self, *messages: dict[str, Any]) -> None:
        """Send messages, each with its `op`, in one write."""
        for message in messages:
            self.seq += 1
            self.websocket.protocol.send_text(json.dumps({"seq": self.seq, **message}).encode())
        self.websocket.transport.write(b"".join(self.websocket.protocol.data_to_send()))

    async def answer(self) -> dict[str, Any]:
        """Return what comes next."""
        async with asyncio.timeout(DEADLINE_S):
            message: dict[str, Any] = json.loads(await self.websocket.recv(decode=True))
        return message

    async def ask(self, op: str, **fields: object) -> dict[str, Any]:
        """Send a message and return its answer."""
        await self.send(op, **fields)
        return await self.answer()

    async def shake_hands(self, **fields: object) -> dict[str, Any]:
        """Send a handshake; return the configuration that comes before its acknowledgement."""
        config = await self.ask("handshake", **{**HANDSHAKE, **fields})
        assert {"op": "ack", "seq": self.seq} == await self.answer()
        return config

    async def closed(self) -> tuple[int, str]:
        """Wait until the server has closed it; return the code and the reason. What else comes is passed over."""
        async with asyncio.timeout(DEADLINE_S):
            with suppress(ConnectionClosed):
                while True:
                    await self.websocket.recv()
            await self.websocket.wait_closed()
        assert self.websocket.close_code is not None
        return self.websocket.close_code, self.websocket.close_reason or ""


@asynccontextmanager
async def replica_of(
    ingest: Ingest, *, most_streams: int = 1000, round_s: float = 0.02, **settings: int
) -> AsyncIterator[Replica]:
    """Serve streams on the servers of `ingest`, by its clock; `settings` are fields of Admission."""
    async with AsyncExitStack() as stack:
        changes, beacon = ChangeLog(ingest.redis), Beacon(ingest.redis, ingest.redis.ping)
        stack.push_async_callback(changes.aclose)
        parts = build_app(
            redis=ingest.redis,
            pool=ingest.pool,
            changes=changes,
            beacon=beacon,
            admission=Admission(shared_token=SHARED_TOKEN, **settings),
            liveness=Liveness(offline_after_s=OFFLINE_AFTER_S, disconnect_grace_s=GRACE_S),
            streaming=Streaming(most_streams),
            now=ingest.clock.now,
            clock=ingest.clock.monotonic,
            round_s=round_s,
        )
        server = lifecycle._Server(lifecycle._config(Probes(parts.app, {}), Http(), LeanProtocol))
        listener = socket.create_server(("127.0.0.1", 0))
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for task in parts.background:
                group.create_task(task(ending))
            serving = group.create_task(server.serve([listener]))
            try:
                yield Replica(listener.getsockname()[1], parts.streams, beacon)
            finally:
                await parts.streams.drain()
                server.should_exit = True
                await serving
                ending.set()


async def until(holds: Callable[[], Any]) -> None:
    """Wait until an awaitable condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not await holds():
            await asyncio.sleep(0.01)


async def holder(ingest: Ingest, agent: Enrolled) -> bytes | None:
    """Return what Redis says about who holds an agent's stream."""
    key = PartitionKeys(partition_of(WORKSPACE)).holder(agent.agent_id)
    found: bytes | None = await ingest.redis.get(key)
    return found
