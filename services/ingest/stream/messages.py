"""The messages of a stream, read and written. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from services.ingest.faults import fault_of, not_json
from services.ingest.items import ITEMS, TooManySamples, items_in
from services.ingest.messages import Handshake, MetricsTaken, Status
from services.ingest.samples import KnownSample
from shared.errors import Malformed, MusterError, Rejected, RetryLater
from shared.io.problem import HttpError
from shared.validation import UNREADABLE
from shared.websocket import framed


class Introduction(Handshake, frozen=True, kw_only=True, tag_field="op", tag="handshake"):
    """A handshake."""

    seq: int


class Metrics(msgspec.Struct, frozen=True, tag_field="op", tag="metrics"):
    """Samples in which every name is known."""

    seq: int
    samples: list[KnownSample]


class Report(Status, frozen=True, kw_only=True, tag_field="op", tag="status"):
    """How the agent is."""

    seq: int


class Goodbye(msgspec.Struct, frozen=True, tag_field="op", tag="goodbye"):
    """The agent stops."""

    seq: int


class LooseMetrics(msgspec.Struct, frozen=True):
    """Samples that are still to be told apart: some have names that are not known, or are no samples at all."""

    seq: int
    samples: list[msgspec.Raw]


class Unusable(msgspec.Struct, frozen=True):
    """A message that is one, but cannot be taken: for its fields, its `op`, or what it would cost."""

    seq: int
    error: Rejected | HttpError


Message = Introduction | Metrics | Report | Goodbye | LooseMetrics | Unusable


class Config(msgspec.Struct, frozen=True, tag_field="op", tag="config"):
    """What the agent is to keep to.

    An interval of samples, a longest silence, how many messages may be unanswered, how many samples of an outage it
    may send in a second, and whether it is to take another secret.
    """

    server_id: str
    server_time: datetime
    interval_s: float
    heartbeat_s: float
    window: int
    backfill_per_s: int
    rotate: bool = False


class Refusal(msgspec.Struct, frozen=True, tag_field="op", tag="error", omit_defaults=True):
    """Message `seq` was not taken; with `retry_after_s` it may be sent again."""

    seq: int
    code: str
    message: str
    retry_after_s: float | None = None


class _Envelope(msgspec.Struct):
    op: str
    seq: int


_OPS = ("handshake", "metrics", "status", "goodbye")
_LONGEST_ECHO = 40

_decode = msgspec.json.Decoder(Introduction | Metrics | Report | Goodbye).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_loose: Callable[[str], Any] = msgspec.json.Decoder(
    msgspec.defstruct("_Loose", [("seq", int), ("samples", ITEMS)])
).decode
_encode = msgspec.json.Encoder().encode


def read_message(text: str) -> Message:
    """Read a message of an agent; raises Malformed for what is none."""
    try:
        message: Message = _decode(text)
    except UNREADABLE as error:
        return _read_again(text, error)
    return message


def _read_again(text: str, error: Exception) -> Message:
    """Find out what of a message can be taken, or what is wrong with it."""
    envelope = _envelope_of(text)
    if envelope.op not in _OPS:
        shown = envelope.op[:_LONGEST_ECHO]
        return Unusable(envelope.seq, Rejected(f"there is no {shown!r}", code="unknown_op", field="op"))
    if envelope.op == "metrics":
        try:
            return LooseMetrics(envelope.seq, items_in(_decode_loose(text).samples))
        except UNREADABLE as wrong:
            error = wrong
        except TooManySamples as wrong:
            return Unusable(envelope.seq, Rejected(str(wrong), code=wrong.code))
    fault = fault_of(msgspec.Raw(text), error, code="invalid")
    if isinstance(fault, Rejected):
        return Unusable(envelope.seq, fault)
    raise fault


def size_bytes_of(message: str | bytes) -> int:
    """Return how large a message was on the wire."""
    return len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())


def turned_away(text: str, error: HttpError) -> Goodbye | Unusable:
    """Return what is left of a message that is not to be read, but for its name and its number.

    A goodbye is what it is: it asks for nothing more than to be the last. Raises Malformed for what is no message.
    """
    envelope = _envelope_of(text)
    return Goodbye(envelope.seq) if envelope.op == "goodbye" else Unusable(envelope.seq, error)


def _envelope_of(text: str) -> _Envelope:
    try:
        return _decode_envelope(text)
    except msgspec.ValidationError as wrong:
        raise Malformed(f"a message has an `op` and a `seq`: {wrong}") from wrong
    except UNREADABLE as wrong:
        raise not_json(wrong) from wrong


def acknowledgement(seq: int, taken: MetricsTaken | None = None) -> bytes:
    """Return the frame that acknowledges a message; `taken` says what became of its samples."""
    if taken is None:
        return framed(b'{"op":"ack","seq":%d}' % seq)
    rejected = _encode(taken.rejected) if taken.rejected else b"[]"
    return framed(b'{"op":"ack","seq":%d,"accepted":%d,"rejected":%b}' % (seq, taken.accepted, rejected))


def refusal(seq: int, error: MusterError) -> bytes:
    """Return the frame that says why a message was not taken."""
    retry_after_s = error.retry_after_s if isinstance(error, RetryLater | HttpError) else None
    field = error.field if isinstance(error, Rejected) else None
    message = f"{field}: {error}" if field else str(error)
    return framed(_encode(Refusal(seq, error.code, message, retry_after_s)))


def configuration(config: Config) -> bytes:
    """Return the frame with what the agent is to keep to."""
    return framed(_encode(config))
