"""A wire that sends what one Socket.IO client is to be told, as packets."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from engineio.packet import Packet

from services.broadcaster.event_feed import Ask, Feed, LookUp, Say
from services.broadcaster.event_packets import Message, event_packet
from services.broadcaster.frames import PACKETS, Form
from services.broadcaster.journal import Journal
from shared.protocol import Refusal, Welcome

MAX_PACKETS_AT_ONCE = 10
"""How many packets are given to the transport before it has taken them: with what the engine adds of its own, less than
the 16 that python-socketio's client accepts in the answer to one poll."""

MAX_COMPLAINTS = 100
"""How many refusals of malformed requests may wait for one client."""


class Transport(Protocol):
    """What carries packets to one client."""

    async def send(self, packet: Packet) -> None:
        """Send a packet after those before it."""

    async def taken(self) -> None:
        """Return when the client's WebSocket, or its next poll, has taken them all; never, if it has gone."""

    def hold(self, drop: Callable[[], None]) -> None:
        """Note what drops the WebSocket that carries them from now on."""

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""

    async def close(self) -> None:
        """End it, so that the client takes it for a lost connection and comes again by itself."""


class PacketWire:
    """A Wire. It takes one frame at a time: while that is on its way, what comes waits in the outbox.

    `on_opening` is told whether the client is welcome, also with a new token; `on_ask` what has to be asked for anew.
    """

    def __init__(
        self,
        transport: Transport,
        feed: Feed,
        journal: Journal,
        on_opening: Callable[[Welcome | Refusal], None],
        on_ask: Callable[[Ask], None],
    ) -> None:
        self.form: Form = PACKETS
        self.begun = asyncio.Event()
        """Set once the client knows whether it is connected: nothing may be said to it before."""
        self.ended = asyncio.Event()
        """Set once everything is sent after the end."""
        self._transport = transport
        self._feed = feed
        self._journal = journal
        self._on_opening = on_opening
        self._on_ask = on_ask
        self._block = self._flow = _nobody
        self._messages: list[Message] = []
        self._complaints: list[Packet] = []
        self._news = asyncio.Event()
        self.is_aborted = False
        """Whether what was written is given up."""
        self._is_welcome = False
        self._ends = False

    def attach(self, block: Callable[[], None], flow: Callable[[], None]) -> None:
        """Tell these when a frame is on its way, and when it has been taken."""
        self._block, self._flow = block, flow

    def detach(self) -> None:
        """Forget whom to tell."""
        self._block = self._flow = _nobody

    def write(self, messages: list[Message]) -> None:
        """Send the packets of a frame next."""
        self._messages += messages
        self._block()
        self._news.set()

    def complain(self, packet: Packet) -> bool:
        """Send a packet beside the frames; tells whether there was room for it."""
        if len(self._complaints) >= MAX_COMPLAINTS:
            return False
        self._complaints.append(packet)
        self._news.set()
        return True

    def abort(self) -> None:
        """Send nothing any more."""
        self.is_aborted = True
        self._messages.clear()
        self._transport.abort()
        self.end()

    def end(self) -> None:
        """End after what was written."""
        self._ends = True
        self._news.set()

    async def run(self) -> None:
        """Send what is written, until the end."""
        while True:
            await self._news.wait()
            self._news.clear()
            messages, self._messages = self._messages, []
            for message in messages:
                await self._deliver(await self._packets(message))
            complaints, self._complaints = self._complaints, []
            await self._deliver(complaints)
            if self._ends and not (self._messages or self._complaints):
                self.ended.set()
                return
            self._flow()

    async def _packets(self, message: Message) -> list[Packet]:
        if isinstance(message, Welcome) or (isinstance(message, Refusal) and not self._is_welcome):
            is_new = not self._is_welcome
            self._is_welcome = isinstance(message, Welcome)
            self._on_opening(message)
            return [event_packet("connected", b'{"ok":true}')] if self._is_welcome and is_new else []
        packets: list[Packet] = []
        effects = deque(self._feed.take(message))
        while effects:
            match effects.popleft():
                case Say(packet):
                    packets.append(packet)
                case Ask() as ask:
                    self._on_ask(ask)
                case LookUp(topic, after, upto):
                    effects.extend(self._feed.looked_up(await self._journal.events(topic, after, upto)))
        return packets

    async def _deliver(self, packets: list[Packet]) -> None:
        if packets:
            await self.begun.wait()
        for start in range(0, len(packets), MAX_PACKETS_AT_ONCE):
            for packet in packets[start : start + MAX_PACKETS_AT_ONCE]:
                await self._transport.send(packet)
            await self._transport.taken()


def _nobody() -> None:
    """Stand for a connection that has not attached, or has ended."""
