"""One stream: the bytes of a WebSocket on one side, the log and the records on the other."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
import structlog

from services.ingest.credentials import AgentIdentity
from services.ingest.intake import Intake
from services.ingest.presence import Presence
from services.ingest.registration import interval_granted
from services.ingest.registrations import Registrations
from services.ingest.samples import KnownSample
from services.ingest.skew import SkewEstimate
from services.ingest.stream.holders import Hold, Holders
from services.ingest.stream.messages import (
    Config,
    Goodbye,
    Introduction,
    LooseMetrics,
    Message,
    Metrics,
    Report,
    Unusable,
    acknowledgement,
    configuration,
    refusal,
)
from services.ingest.stream.session import BACKFILL_PER_S, HEARTBEAT_S, SUPERSEDED, WINDOW, CloseCode, Ending, Session
from services.ingest.stream.turnstile import Turnstile
from shared.errors import MusterError, Rejected, RetryLater, Unauthenticated
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Receive, Send

GOODBYE_S = 2.0
"""How long a close frame may wait behind what the agent has not read."""

RECORD_COST = 20
"""What a message that is written into records costs, in samples."""

OWN_FAULT_RETRY_S = 5.0
"""When a message may come again that met an error which nobody expected."""

MAX_REASON_BYTES = 123
"""A limit of the WebSocket protocol (RFC 6455, 5.5)."""

log = structlog.get_logger(__name__)


class Wire(Protocol):
    """What of a WebSocket is used past ASGI."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """What writes frames."""

    @property
    def takes_more(self) -> bool:
        """Whether what is written now would reach the peer soon."""

    writable: asyncio.Event

    def wake(self) -> None:
        """Let `receive` return."""

    def abort(self) -> None:
        """Drop the connection."""


class Surroundings(msgspec.Struct, frozen=True):
    """What all streams of a process share; `clock` gives seconds that never go back."""

    intake: Intake
    presence: Presence
    registrations: Registrations
    holders: Holders
    turnstile: Turnstile
    claimed: "Callable[[Connection], None]"
    """Called when a stream has become the one of its agent."""
    clock: Callable[[], float] = time.monotonic


class Peer(msgspec.Struct, frozen=True):
    """The other side: how to hear it, how to close on it, and the wire for all else that it is sent."""

    receive: Receive
    send: Send
    wire: Wire


class Connection:
    """A stream from its acceptance to its end. `hold` is there once it is the one of its agent."""

    __slots__ = (
        "_peer",
        "_session",
        "_skew",
        "_surroundings",
        "answered_at",
        "ending",
        "hold",
        "identity",
        "renewed_at",
        "secret_hash",
    )

    def __init__(self, identity: AgentIdentity, secret_hash: bytes, surroundings: Surroundings, peer: Peer) -> None:
        now_s = surroundings.clock()
        self.identity = identity
        self.secret_hash = secret_hash
        self.hold: Hold | None = None
        self.renewed_at = now_s
        """When its hold and its credential were last looked at."""
        self.answered_at = now_s
        """When its last message was dealt with."""
        self.ending: Ending | None = None
        """Why it was ended, if by this side."""
        self._session = Session(now_s)
        self._skew: SkewEstimate | None = None
        self._surroundings = surroundings
        self._peer = peer

    async def run(self) -> None:
        """Serve the agent until one side ends it."""
        receive, session, clock = self._peer.receive, self._session, self._surroundings.clock
        wire = self._peer.wire
        while not self._is_over():
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if self._is_over() or event["type"] != "websocket.receive":
                continue
            text = event.get("text")
            read = session.receive(event["bytes"] if text is None else text, clock())
            if isinstance(read, Ending):
                self.close(read)
                break
            answer = await self._answer(read)
            self.answered_at = clock()
            if wire.takes_more:
                wire.write(answer)
            else:
                await self._write_later(answer)
        await self._say_goodbye()

    def _is_over(self) -> bool:
        return self.ending is not None

    def close(self, ending: Ending) -> None:
        """End it for a reason of this side, once the message under way is answered."""
        if self.ending is None:
            self.ending = ending
            self._peer.wire.wake()
            if not self._peer.wire.writable.is_set():
                self._peer.wire.abort()

    def expire(self, now_s: float) -> None:
        """End it if nothing was heard for too long."""
        ending = self._session.expired(now_s)
        if ending is not None:
            self.close(ending)

    async def _answer(self, message: Message) -> bytes:
        try:
            answer = await self._deal_with(message)
        except Unauthenticated as error:
            self.close(Ending(CloseCode.REVOKED, str(error)))
            return refusal(message.seq, error)
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and the agent told)
            failure = as_muster_error(error, "/ingest/v1/ws")
            if type(failure) is MusterError:  # our own fault must not cost the agent its samples
                failure = RetryLater("an error on our side; it was logged", retry_after_s=OWN_FAULT_RETRY_S)
            if isinstance(message, Introduction) and isinstance(failure, RetryLater):
                self._session.put_off(failure.retry_after_s, self._surroundings.clock())
            ending = self._session.refused(failure)
            if ending is not None:
                self.close(ending)
            return refusal(message.seq, failure)
        self._session.taken()
        return answer

    async def _deal_with(self, message: Message) -> bytes:
        """Do what a message asks for, and return the frames of its answer; raises MusterError, and what it meets."""
        intake = self._surroundings.intake
        if isinstance(message, Metrics) and message.samples and self._session.is_introduced:
            taken = await intake.take_decoded(self.identity, message.samples)
            if self._skew is not None and self._skew.is_due(self._surroundings.clock()):
                await self._measure_skew(self._skew, message.samples[-1])
            return acknowledgement(message.seq, taken)
        if isinstance(message, Unusable):
            raise message.error
        if isinstance(message, Introduction):
            with self._surroundings.turnstile.passing():
                return await self._introduce(message)
        if not self._session.is_introduced:
            raise RetryLater("a handshake comes first")
        if isinstance(message, Report):
            await self._report(message)
        elif isinstance(message, Goodbye):
            await self._leave()
        elif isinstance(message, LooseMetrics) and message.samples:
            return acknowledgement(message.seq, await intake.take_each(self.identity, message.samples))
        else:
            raise Rejected("at least one is needed", code="invalid", field="samples")
        return acknowledgement(message.seq)

    async def _introduce(self, message: Introduction) -> bytes:
        surroundings, identity = self._surroundings, self.identity
        surroundings.intake.spend(identity, RECORD_COST)
        registration = await surroundings.registrations.of(identity)
        if self.hold is None:
            self.hold = await surroundings.holders.claim(identity)
            surroundings.claimed(self)
        agent = await surroundings.presence.introduce(identity, registration, message)
        interval_s = interval_granted(message.interval_s, surroundings.presence.offline_after_ms / 1000)
        self._session.introduced(interval_s, surroundings.clock())
        self._skew = SkewEstimate(message.boot_id, agent.clock_skew_s)
        config = Config(
            server_id=identity.server_id,
            server_time=surroundings.presence.now(),
            interval_s=interval_s,
            heartbeat_s=HEARTBEAT_S,
            window=WINDOW,
            backfill_per_s=BACKFILL_PER_S,
            rotate=registration.rotation_wanted,
        )
        return configuration(config) + acknowledgement(message.seq)

    async def _report(self, message: Report) -> None:
        surroundings, identity = self._surroundings, self.identity
        if message.says_nothing:
            surroundings.intake.spend(identity, 1)
            await surroundings.presence.touch(identity)
            return
        surroundings.intake.spend(identity, RECORD_COST)
        await surroundings.presence.report(identity, await surroundings.registrations.of(identity), message)

    async def _leave(self) -> None:
        """Put the server offline, unless another stream of the agent stands for it."""
        if self.hold is not None:
            if not await self._surroundings.holders.release(self.hold):
                self.close(SUPERSEDED)
                return
            self.hold = None
        await self._surroundings.presence.leave(self.identity)
        self.close(Ending(CloseCode.GOODBYE, "goodbye"))

    async def _measure_skew(self, skew: SkewEstimate, sample: KnownSample) -> None:
        surroundings, told_s = self._surroundings, skew.told_s
        now, now_s = surroundings.presence.now(), surroundings.clock()
        moved_to_s = skew.measure(sample.boot_id, sample.seq, sample.ts, now, now_s)
        if moved_to_s is None:
            return
        try:
            await surroundings.presence.note_skew(self.identity, moved_to_s)
        except Exception as error:
            if not isinstance(as_muster_error(error, "/ingest/v1/ws"), RetryLater):
                raise
            skew.told_s = told_s  # the samples are in the log, and the next measurement tells it again

    async def _write_later(self, answer: bytes) -> None:
        """Wait until the agent reads, and take no further message meanwhile; one that has gone gets no answer."""
        wire = self._peer.wire
        await wire.writable.wait()
        if wire.takes_more:
            wire.write(answer)

    async def _say_goodbye(self) -> None:
        assert self.ending is not None  # noqa: S101  (that is why it is said)
        reason = self.ending.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._peer.send({"type": "websocket.close", "code": int(self.ending.code), "reason": reason})
        except TimeoutError:  # it reads nothing: what it holds of our memory is given up
            self._peer.wire.abort()
        except OSError:
            log.debug("the agent has gone before it could be told", code=int(self.ending.code))
