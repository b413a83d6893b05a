"""A fleet of agents in one process: the agent's own rules over many connections, with numbers for measurements."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from muster_agent.backlog import Backlog
from muster_agent.backoff import Backoff
from muster_agent.buffer import Sample, SampleBuffer
from muster_agent.conversation import Configured, Conversation, Deferred, Kind, Refused, Taken
from muster_agent.errors import AgentError
from muster_agent.pace import LARGEST_BYTES, Pace

OPENED_WITHIN_S = 10.0
SAMPLES_A_MESSAGE = 1000
MESSAGE_BYTES = 900_000


@dataclass
class Diary:
    """What happened to a fleet, by the second of the monotonic clock."""

    connected: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


class SimulatedAgent:
    """One agent: it measures every `interval_s`, and reports over streams for as long as it runs."""

    def __init__(self, url: str, secret: str, interval_s: float, diary: Diary) -> None:
        self.boot_id = f"boot-{random.getrandbits(64):x}"
        self.taken = 0
        self._url = url
        self._secret = secret
        self._interval_s = interval_s
        self._diary = diary
        self._backlog = Backlog(None, SampleBuffer())
        self._pace = Pace()
        self._backoff = Backoff()
        self._woken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many samples no server has answered for."""
        return len(self._backlog)

    async def measure(self, stopping: asyncio.Event) -> None:
        """Take samples until then, beginning at a moment of its own."""
        due_s = time.monotonic() + random.uniform(0, self._interval_s)
        while not await _passed(stopping, due_s - time.monotonic()):
            due_s += self._interval_s
            self.taken += 1
            ts = dt.datetime.now(dt.UTC).isoformat()
            encoded = f'{{"ts":"{ts}","boot_id":"{self.boot_id}","seq":{self.taken},"cpu_percent":1.5}}'.encode()
            self._backlog.add(Sample(self.boot_id, self.taken, encoded), time.monotonic())
            self._woken.set()

    async def report(self, stopping: asyncio.Event) -> None:
        """Hold a stream until then, whatever ends it."""
        while not stopping.is_set():
            try:
                await self._connection(stopping)
            except (OSError, WebSocketException, AgentError):
                self._backlog.lost(time.monotonic())
                await _passed(stopping, self._backoff.next_delay_s())

    async def _connection(self, stopping: asyncio.Event) -> None:
        options = {"compression": None, "ping_interval": None, "open_timeout": OPENED_WITHIN_S, "close_timeout": 1}
        headers = {"Authorization": f"Bearer {self._secret}"}
        async with connect(self._url, additional_headers=headers, proxy=None, **options) as socket:  # type: ignore[arg-type]  # keyword by keyword
            conversation = Conversation(self._pace, self._interval_s, time.monotonic())
            receiving = asyncio.create_task(socket.recv())
            try:
                while not stopping.is_set():
                    await self._send_due(conversation, socket)
                    receiving = await self._hear(conversation, socket, receiving)
            finally:
                receiving.cancel()
                await asyncio.wait([receiving])

    async def _hear(
        self, conversation: Conversation, socket: ClientConnection, receiving: asyncio.Task[str | bytes]
    ) -> asyncio.Task[str | bytes]:
        """Wait for a message, a sample, or the time of either; take the message in."""
        wake_s = conversation.wake_s(has_late=self._backlog.has_late())
        woken = asyncio.create_task(self._woken.wait())
        await asyncio.wait(
            [receiving, woken],
            timeout=min(1.0, max(0.0, wake_s - time.monotonic())),
            return_when=asyncio.FIRST_COMPLETED,
        )
        woken.cancel()
        if receiving.done():
            text = receiving.result()
            self._take(conversation, text.encode() if isinstance(text, str) else text)
            return asyncio.create_task(socket.recv())
        if time.monotonic() >= conversation.broken_s():
            raise OSError("no answer came in time")
        return receiving

    def _take(self, conversation: Conversation, text: bytes) -> None:
        was_open = conversation.is_open
        event = conversation.receive(text, time.monotonic())
        if isinstance(event, Configured) and event.terms.interval_s:
            self._interval_s = event.terms.interval_s
        elif isinstance(event, Taken | Refused):
            self._backlog.settle(event.sent.samples)
            self._backoff.reset()
            rejected = [each.message for each in event.rejected] if isinstance(event, Taken) else [event.description]
            self._diary.refused += rejected
        elif isinstance(event, Deferred):
            self._backlog.miss(event.sent.samples, time.monotonic())
        if conversation.is_open and not was_open:
            self._diary.connected[int(time.monotonic())] += 1
            self._backlog.connected()

    async def _send_due(self, conversation: Conversation, socket: ClientConnection) -> None:
        self._woken.clear()
        while True:
            now_s = time.monotonic()
            kind = conversation.next_kind(now_s, has_fresh=self._backlog.has_fresh(), has_late=self._backlog.has_late())
            if kind is None:
                return
            fields: dict[str, object] = {}
            samples: list[Sample] = []
            if kind is Kind.HANDSHAKE:
                fields = {"boot_id": self.boot_id, "agent_version": "simulated", "interval_s": self._interval_s}
            elif kind is Kind.FRESH:
                samples = self._backlog.take_fresh(SAMPLES_A_MESSAGE, MESSAGE_BYTES)
            elif kind is Kind.LATE:
                samples = self._backlog.late(self._pace.limit(), LARGEST_BYTES)
            await socket.send(conversation.message(kind, now_s, fields, samples), text=True)


@contextlib.asynccontextmanager
async def running_fleet(agents: list[SimulatedAgent]) -> AsyncIterator[asyncio.Event]:
    """Let agents measure and report; give what ends the measuring. They report until the block ends."""
    measured, ended = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(agent.measure(measured))
            group.create_task(agent.report(ended))
        try:
            yield measured
        finally:
            measured.set()
            ended.set()


async def _passed(stopping: asyncio.Event, duration_s: float) -> bool:
    """Wait for a time; tell whether it is over before."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, duration_s)):
            await stopping.wait()
    return stopping.is_set()
