"""A steady load whose every acknowledgement is written down: agents that resend, editors that repeat."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import httpx

from tests.support.installation import Installation

_PAUSE_S = 0.05
_GIVE_UP_S = 60.0
_DONE = {HTTPStatus.OK, HTTPStatus.ACCEPTED}


async def _persist(send: Callable[[], Awaitable[httpx.Response]], stop_on: set[int]) -> httpx.Response:
    """Send until it is answered for good: what is away, busy or interrupted is asked again, unchanged."""
    async with asyncio.timeout(_GIVE_UP_S):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await send()
                if answer.status_code in stop_on:
                    return answer
                retryable = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status_code in {401, 429}
                assert retryable, f"{answer.status_code}: {answer.text}"
            await asyncio.sleep(_PAUSE_S)


class AgentLoad:
    """Sends one sample after the other for one server, in order, each until it is acknowledged."""

    def __init__(self, installation: Installation, agent: dict[str, Any]) -> None:
        self.server_id: str = agent["server_id"]
        self.acknowledged: list[int] = []
        self._client = installation.client
        self._headers = {"Authorization": f"Bearer {agent['secret']}"}

    async def run(self, ending: asyncio.Event) -> None:
        """Send until `ending`."""
        seq = 0
        while not ending.is_set():
            seq += 1
            sample = {"ts": dt.datetime.now(dt.UTC).isoformat(), "boot_id": "load", "seq": seq, "cpu_percent": 1.0}
            await _persist(
                lambda sample=sample: self._client.post("/ingest/v1/metrics", json=sample, headers=self._headers),  # type: ignore[misc]  # bound now
                {HTTPStatus.ACCEPTED},
            )
            self.acknowledged.append(seq)
            await asyncio.sleep(_PAUSE_S)


class EditorLoad:
    """Numbers the notes of one server, each edit with its own Idempotency-Key until it is acknowledged."""

    def __init__(self, installation: Installation, server_id: str, token: str) -> None:
        self.server_id = server_id
        self.acknowledged = 0
        self._client = installation.client
        self._headers = {"Authorization": f"Bearer {token}"}

    async def run(self, ending: asyncio.Event) -> None:
        """Edit until `ending`."""
        while not ending.is_set():
            number = self.acknowledged + 1
            headers = {**self._headers, "Idempotency-Key": f"{self.server_id}-{number}"}
            await _persist(
                lambda headers=headers, number=number: self._client.patch(  # type: ignore[misc]  # bound now
                    f"/api/v1/servers/{self.server_id}", json={"notes": str(number)}, headers=headers
                ),
                {HTTPStatus.OK, HTTPStatus.ACCEPTED},
            )
            self.acknowledged = number
            await asyncio.sleep(_PAUSE_S)


@contextlib.asynccontextmanager
async def under_load(*loads: AgentLoad | EditorLoad) -> AsyncIterator[None]:
    """Run loads until the block ends, then let each finish what it is at."""
    ending = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for load in loads:
            group.create_task(load.run(ending))
        try:
            yield
        finally:
            ending.set()
