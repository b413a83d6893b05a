"""One stream: the bytes of a WebSocket on one side, the log and the records on the other."""

import time
from collections.abc import Callable, Sequence

import msgspec

from services.ingest.account import RECORD_COST
from services.ingest.credentials import AgentIdentity
from services.ingest.intake import Intake
from services.ingest.messages import MetricsTaken
from services.ingest.presence import Presence
from services.ingest.registration import interval_granted
from services.ingest.registrations import Registrations
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
    size_bytes_of,
)
from services.ingest.stream.peer import Peer
from services.ingest.stream.places import Place
from services.ingest.stream.session import BACKFILL_PER_S, HEARTBEAT_S, SUPERSEDED, WINDOW, CloseCode, Ending, Session
from services.ingest.stream.turnstile import Turnstile
from shared.errors import MusterError, Rejected, RetryLater, Unauthenticated
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Message as AsgiMessage
from shared.io.problem import HttpError

OWN_FAULT_RETRY_S = 5.0
"""When a message may come again that met an error which nobody expected."""

WISHED_AGAIN_S = 60.0
"""When an agent is told again to take another secret that has taken none since."""

MOST_TOGETHER = 256
"""With so many samples no further message joins those that are appended in one go."""


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


class Connection:
    """A stream from its acceptance to its end. `hold` is there once it is the one of its agent."""

    __slots__ = (
        "_account",
        "_interval_s",
        "_peer",
        "_place",
        "_session",
        "_surroundings",
        "_wished_at",
        "answered_at",
        "ending",
        "hold",
        "identity",
        "renewed_at",
        "secret_hash",
    )

    def __init__(
        self, identity: AgentIdentity, secret_hash: bytes, surroundings: Surroundings, peer: Peer, place: Place
    ) -> None:
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
        self._account = surroundings.intake.account(identity)
        self._session = Session(now_s)
        self._surroundings = surroundings
        self._peer = peer
        self._place = place
        self._interval_s = 0.0
        self._wished_at: float | None = None

    async def run(self) -> None:
        """Serve the agent until one side ends it."""
        receive = self._peer.receive
        while not self._is_over():
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if event["type"] == "websocket.receive" and not self._is_over():
                await self._hear(event)
        assert self.ending is not None  # noqa: S101  (that is why it is over)
        await self._peer.close(self.ending)

    async def _hear(self, event: AsgiMessage) -> None:
        """Deal with a message, and with what has come after it already, as far as that can be done in one go."""
        messages, other = await self._read_on(event)
        if messages:
            await self._reply(await self._take(messages))
        if self._is_over() or other is None:
            return
        if isinstance(other, Ending):
            self.close(other)
        else:
            await self._reply(await self._answer(other))

    async def _read_on(self, event: AsgiMessage) -> tuple[list[Metrics], Message | Ending | None]:
        """Read a message; while they are samples, also those that wait already: they go into the log together."""
        session, peer, now_s = self._session, self._peer, self._surroundings.clock()
        messages: list[Metrics] = []
        samples = 0
        while True:
            text = event.get("text")
            read = self._read(event["bytes"] if text is None else text, now_s)
            if not (isinstance(read, Metrics) and read.samples and session.is_introduced):
                return messages, read
            messages.append(read)
            samples += len(read.samples)
            if samples >= MOST_TOGETHER or not peer.wire.holds_message:
                return messages, None
            event = await peer.receive()

    def _read(self, message: str | bytes, now_s: float) -> Message | Ending:
        """Read a message at the agent's expense; of one that it may not send, no more than which one it is."""
        try:
            self._account.let_in(size_bytes_of(message))
        except HttpError as error:
            return self._session.turn_away(message, error, now_s)
        return self._session.receive(message, now_s)

    async def _reply(self, frames: bytes) -> None:
        self.answered_at = self._surroundings.clock()
        await self._peer.answer(frames)

    def _is_over(self) -> bool:
        return self.ending is not None

    def close(self, ending: Ending) -> None:
        """End it for a reason of this side, once the message under way is answered."""
        if self.ending is None:
            self.ending = ending
            self._peer.interrupt()

    def expire(self, now_s: float) -> None:
        """End it if nothing was heard for too long."""
        ending = self._session.expired(now_s)
        if ending is not None:
            self.close(ending)

    def wish_rotation(self) -> None:
        """Tell an agent that has shaken hands to take another secret, unless it was told so a short while ago."""
        now_s = self._surroundings.clock()
        was_told = self._wished_at is not None and now_s - self._wished_at < WISHED_AGAIN_S
        if was_told or not self._session.is_introduced or self._is_over():
            return
        if self._peer.tell(self._configuration(rotate=True)):
            self._wished_at = now_s

    async def _take(self, messages: Sequence[Metrics]) -> bytes:
        """Append the samples of messages; return the answers to them."""
        outcomes: Sequence[MetricsTaken | Exception]
        try:
            outcomes = await self._surroundings.intake.take_together(self.identity, [one.samples for one in messages])
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and the agent told)
            outcomes = [as_muster_error(error, "/ingest/v1/ws")] * len(messages)
        return b"".join(map(self._outcome, messages, outcomes))

    def _outcome(self, message: Metrics, outcome: MetricsTaken | Exception) -> bytes:
        if isinstance(outcome, Exception):
            return self._refuse(message, outcome)
        self._session.taken()
        return acknowledgement(message.seq, outcome)

    async def _answer(self, message: Message) -> bytes:
        try:
            answer = await self._deal_with(message)
        except Exception as error:  # noqa: BLE001  (as above)
            return self._refuse(message, error)
        self._session.taken()
        return answer

    def _refuse(self, message: Message, error: Exception) -> bytes:
        """Return what tells the agent that its message was not taken; the stream ends if it leads to nothing."""
        failure = as_muster_error(error, "/ingest/v1/ws")
        if isinstance(failure, Unauthenticated):
            self.close(Ending(CloseCode.REVOKED, str(error)))
            return refusal(message.seq, failure)
        if type(failure) is MusterError:  # our own fault must not cost the agent its samples
            failure = RetryLater("an error on our side; it was logged", retry_after_s=OWN_FAULT_RETRY_S)
        if isinstance(message, Introduction) and isinstance(failure, RetryLater):
            self._session.put_off(failure.retry_after_s, self._surroundings.clock())
        ending = self._session.refused(failure)
        if ending is not None:
            self.close(ending)
        return refusal(message.seq, failure)

    async def _deal_with(self, message: Message) -> bytes:
        """Do what a message asks for, and return the frames of its answer; raises MusterError, and what it meets."""
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
            taken = await self._surroundings.intake.take_each(self.identity, message.samples)
            return acknowledgement(message.seq, taken)
        else:
            raise Rejected("at least one is needed", code="invalid", field="samples")
        return acknowledgement(message.seq)

    async def _introduce(self, message: Introduction) -> bytes:
        surroundings, identity = self._surroundings, self.identity
        self._account.charge(RECORD_COST - 1)
        registration = await surroundings.registrations.of(identity)
        # all that can refuse it comes before an older stream of the agent has to give way
        await surroundings.presence.keep_facts(identity, message)
        if self.hold is None:
            self.hold = await surroundings.holders.claim(identity)
            surroundings.claimed(self)
        agent = await surroundings.presence.introduce(identity, registration, message)
        self._interval_s = interval_granted(message.interval_s, surroundings.presence.offline_after_ms / 1000)
        now_s = surroundings.clock()
        self._session.introduced(self._interval_s, now_s)
        self._place.settle()
        surroundings.intake.clocks.begin(identity, SkewEstimate(message.boot_id, agent.clock_skew_s))
        self._wished_at = now_s if registration.rotation_wanted else None
        return self._configuration(rotate=registration.rotation_wanted) + acknowledgement(message.seq)

    def _configuration(self, *, rotate: bool) -> bytes:
        """Return the frame that says what the agent is to keep to; of that, `rotate` alone changes meanwhile."""
        config = Config(
            server_id=self.identity.server_id,
            server_time=self._surroundings.presence.now(),
            interval_s=self._interval_s,
            heartbeat_s=HEARTBEAT_S,
            window=WINDOW,
            backfill_per_s=BACKFILL_PER_S,
            rotate=rotate,
        )
        return configuration(config)

    async def _report(self, message: Report) -> None:
        surroundings, identity = self._surroundings, self.identity
        if message.says_nothing:
            await surroundings.presence.touch(identity)
            return
        self._account.charge(RECORD_COST - 1)
        await surroundings.presence.report(identity, await surroundings.registrations.of(identity), message)

    async def _leave(self) -> None:
        """Put the server offline, unless another stream of the agent stands for it; a goodbye may be repeated."""
        holders, hold = self._surroundings.holders, self.hold
        if hold is not None and await holders.renew([hold]):
            self.close(SUPERSEDED)
            return
        await self._surroundings.presence.leave(self.identity)
        if hold is not None:
            await holders.release(hold)
            self.hold = None
        self.close(Ending(CloseCode.GOODBYE, "goodbye"))
