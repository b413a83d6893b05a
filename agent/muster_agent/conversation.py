"""One connection of the stream as a pure state machine: what to send next, and what the answers mean.

Nothing here waits or knows a socket: texts and times go in, texts and events come out. The rules are those of "The
stream" in docs/agent-protocol.md.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Union

from muster_agent import answers, terms
from muster_agent.answers import Rejection
from muster_agent.buffer import Sample
from muster_agent.errors import Unavailable
from muster_agent.pace import Pace
from muster_agent.terms import Terms

# How long a connection may take to its first answer.
FIRST_ANSWER_S = 10.0
# Intervals that an answer may take.
PATIENCE_INTERVALS = 2


class Kind(Enum):
    """What a message is for."""

    HANDSHAKE = "handshake"
    FRESH = "fresh"
    LATE = "late"
    STATUS = "status"
    GOODBYE = "goodbye"


OPS = {Kind.FRESH: "metrics", Kind.LATE: "metrics"}


@dataclass(frozen=True)
class Sent:
    """A message that waits for its answer."""

    seq: int
    kind: Kind
    samples: Sequence[Sample]
    at_s: float


@dataclass(frozen=True)
class Taken:
    """The server has dealt with a message; `rejected` are samples that it will never take."""

    sent: Sent
    rejected: Sequence[Rejection] = ()


@dataclass(frozen=True)
class Deferred:
    """The server has not taken a message, and may later."""

    sent: Sent
    description: str


@dataclass(frozen=True)
class Refused:
    """The server will never take this message."""

    sent: Sent
    description: str


@dataclass(frozen=True)
class Configured:
    """The server has said what it wants; `server_id` is empty where it did not say who this machine is."""

    terms: Terms
    server_id: str


Event = Union[Taken, Deferred, Refused, Configured]


class Conversation:
    """The agent's side of a connection opened at `now_s`; `interval_s` holds until the server says otherwise."""

    def __init__(self, pace: Pace, interval_s: float, now_s: float) -> None:
        self._pace = pace
        self._interval_s = interval_s
        self._opened_s = now_s
        self._sent_s = now_s
        self._held_until_s = now_s
        self._seq = 0
        self._unanswered: deque[Sent] = deque()
        self._wants_handshake = True
        self._was_answered = False
        self._is_open = False
        self._said_goodbye = False
        self.terms = Terms()

    @property
    def is_open(self) -> bool:
        """Whether a handshake was answered, so that samples may be sent."""
        return self._is_open

    @property
    def was_answered(self) -> bool:
        """Whether anything has come through from the server."""
        return self._was_answered

    @property
    def is_quiet(self) -> bool:
        """Whether every message has been answered."""
        return not self._unanswered

    @property
    def said_goodbye(self) -> bool:
        """Whether the last message has been sent."""
        return self._said_goodbye

    def want_handshake(self) -> None:
        """Shake hands again: the machine has changed."""
        self._wants_handshake = True

    def next_kind(self, now_s: float, *, has_fresh: bool, has_late: bool) -> Kind | None:
        """Say what is to be sent now, if anything is."""
        if self._said_goodbye or len(self._unanswered) >= self.terms.window or now_s < self._held_until_s:
            return None
        if self._wants_handshake:
            return Kind.HANDSHAKE
        if not self._is_open:
            return None
        if has_fresh:
            return Kind.FRESH
        if has_late and now_s >= self._pace.next_s and not self._has_unanswered(Kind.LATE):
            return Kind.LATE
        return Kind.STATUS if now_s - self._sent_s >= self.terms.heartbeat_s else None

    def wake_s(self, *, has_late: bool) -> float:
        """Give when to ask again if nothing happens until then."""
        if self._said_goodbye or len(self._unanswered) >= self.terms.window:
            return self.broken_s()
        instants = [math.inf]
        if self._wants_handshake:
            instants.append(self._held_until_s)
        if self._is_open:
            instants.append(self._sent_s + self.terms.heartbeat_s)
        if self._is_open and has_late and not self._has_unanswered(Kind.LATE):
            instants.append(self._pace.next_s)
        return min(max(min(instants), self._held_until_s), self.broken_s())

    def broken_s(self) -> float:
        """Give when the connection counts as broken unless an answer comes."""
        if not self._was_answered:
            return self._opened_s + FIRST_ANSWER_S
        return self._unanswered[0].at_s + self._patience_s() if self._unanswered else math.inf

    def message(self, kind: Kind, now_s: float, fields: Mapping[str, object], samples: Sequence[Sample] = ()) -> bytes:
        """Write a message that is sent now, with its `fields` or its samples."""
        self._seq += 1
        self._sent_s = now_s
        self._unanswered.append(Sent(self._seq, kind, tuple(samples), now_s))
        if kind is Kind.HANDSHAKE:
            self._wants_handshake = False
        if kind is Kind.GOODBYE:
            self._said_goodbye = True
        if kind is Kind.LATE:
            self._pace.sent(len(samples), now_s)
        head = {"op": OPS.get(kind, kind.value), "seq": self._seq, **fields}
        text = json.dumps(head, allow_nan=False, separators=(",", ":")).encode()
        if samples:
            return text[:-1] + b',"samples":[' + b",".join(each.encoded for each in samples) + b"]}"
        return text

    def receive(self, text: bytes, now_s: float) -> Event | None:
        """Understand a message of the server; None where it asks for nothing that this agent knows.

        Raises Unavailable where it cannot be an answer to what was sent: the connection is of no use.
        """
        said = answers.json_object(text)
        if said is None:
            raise Unavailable("what came over the stream is no message of Muster's")
        self._was_answered = True
        if said.get("op") == "config":
            return self._configure(said)
        if said.get("op") not in ("ack", "error"):  # no set: it may be anything, and of no hash
            return None
        return self._answered(said, now_s)

    def _configure(self, said: Mapping[str, object]) -> Configured:
        self.terms = terms.of(said, self.terms)
        self._interval_s = self.terms.interval_s or self._interval_s
        self._pace.change(self.terms.backfill_per_s, self._interval_s)
        server_id = said.get("server_id")
        return Configured(self.terms, server_id if isinstance(server_id, str) else "")

    def _answered(self, said: Mapping[str, object], now_s: float) -> Event:
        if not self._unanswered or said.get("seq") != self._unanswered[0].seq:
            raise Unavailable(f"the server answered to message {said.get('seq')!r}, which is not the next one")
        sent = self._unanswered.popleft()
        retry_after_s = answers.seconds(said.get("retry_after_s"))
        description = answers.printable(f"{said.get('code')}: {said.get('message')}")
        if said["op"] == "error" and retry_after_s is not None:
            self._hold(sent.kind, now_s + retry_after_s)
            return Deferred(sent, description)
        if sent.kind is Kind.HANDSHAKE and not self._is_open:
            self._is_open = True
            self._pace.begin(self.terms.backfill_per_s, self._interval_s, now_s)
        if sent.kind is Kind.LATE:
            self._pace.answered(now_s - sent.at_s)
        if said["op"] == "error":
            return Refused(sent, description)
        return Taken(sent, answers.rejections_of(said))

    def _hold(self, kind: Kind, until_s: float) -> None:
        if kind is Kind.LATE:
            self._pace.hold(until_s)
            return
        self._held_until_s = until_s
        self._wants_handshake = self._wants_handshake or kind is Kind.HANDSHAKE

    def _has_unanswered(self, kind: Kind) -> bool:
        return any(sent.kind is kind for sent in self._unanswered)

    def _patience_s(self) -> float:
        return max(PATIENCE_INTERVALS * self._interval_s, self.terms.heartbeat_s)
