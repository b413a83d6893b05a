"""A wire that writes server-sent events into the answer of a request, which begins with the first message."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from services.broadcaster.event_stream import HEARTBEAT, Answer, read_answer
from services.broadcaster.frames import EVENTS, Form
from shared.io.probes import Message, Send
from shared.io.problem import HttpError, answer_problem

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_STATUS = {
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown_topic": 404,
    "too_many": 429,
    "unavailable": 503,
}
_DRAINING = Answer(op="error", code="unavailable", message="this replica is stopping", retry_after_ms=1_000)
_END = {"type": "http.response.body", "body": b""}


class EventWire:
    """A Wire. It takes one frame at a time: while that is on its way, what comes waits in the outbox, or is merged."""

    def __init__(self, send: Send, drop: Callable[[], None], *, heartbeat_s: float) -> None:
        self.form: Form = EVENTS
        self._send = send
        self._drop = drop
        self._heartbeat_s = heartbeat_s
        self._block = self._flow = _nobody
        self._frames: list[bytes] = []
        self._news = asyncio.Event()
        self._has_begun = False
        self._ends = False

    def attach(self, block: Callable[[], None], flow: Callable[[], None]) -> None:
        """Tell these when a frame is on its way, and when it has been taken."""
        self._block, self._flow = block, flow

    def detach(self) -> None:
        """Forget whom to tell."""
        self._block = self._flow = _nobody

    def write(self, events: bytes) -> None:
        """Send the events of a frame next."""
        self._frames.append(events)
        self._block()
        self._news.set()

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""
        self._frames.clear()
        self._drop()
        self.end()

    def end(self) -> None:
        """End the stream after what was written."""
        self._ends = True
        self._news.set()

    async def close(self, message: Message) -> None:
        """Take the place of the close frame of a WebSocket, `message` being ASGI's."""
        del message
        self.end()

    async def run(self) -> None:
        """Send what is written, until the end."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._heartbeat_s):
                    await self._news.wait()
            self._news.clear()
            frames, self._frames = self._frames, []
            if self._has_begun and not frames and not self._ends:
                await self._send_body(HEARTBEAT)
            for events in frames:
                if await self._deliver(events):
                    self._flow()  # whoever waits for these last words to be taken need not wait any more
                    return
            if self._ends and not self._frames:
                break
            self._flow()
        if self._has_begun:
            await self._send(_END)
        else:
            await self._refuse(_DRAINING)

    async def _deliver(self, events: bytes) -> bool:
        """Send the events of one frame; returns whether the stream has ended with it."""
        answer = read_answer(events)
        if answer.op == "welcome":
            return False
        if answer.op == "error" and not self._has_begun:
            await self._refuse(answer)
            return True
        if not self._has_begun:
            self._has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await self._send_body(events)
        if answer.op == "error":
            if answer.retry_after_ms is not None:
                await self._send_body(b"retry: %d\n\n" % answer.retry_after_ms)
            await self._send(_END)
            return True
        return False

    async def _send_body(self, body: bytes) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _refuse(self, answer: Answer) -> None:
        retry_after_s = None if answer.retry_after_ms is None else answer.retry_after_ms / 1000
        headers = (("WWW-Authenticate", "Bearer"),) if answer.code == "unauthenticated" else ()
        status = _STATUS[answer.code]
        error = HttpError(status, answer.code, answer.message, retry_after_s=retry_after_s, headers=headers)
        await answer_problem(error, self._send)


def _nobody() -> None:
    """Stand for an application that has not asked, or has ended."""
