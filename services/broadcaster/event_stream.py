"""Messages as server-sent events: `event` is the op, `id` is `<epoch>-<version>`, `data` the message. Pure."""

from collections.abc import Iterable

import msgspec

HEARTBEAT = b":\n\n"
"""A comment, for clients and proxies to see that the stream lives."""

_EVENT, _DATA = b"event: ", b"data: "


class _Head(msgspec.Struct):
    op: str
    epoch: str | None = None
    version: int = 0
    part: int = 1
    parts: int = 1


class Answer(msgspec.Struct):
    """What the first message of a stream says: whether there is one, and else why not."""

    op: str
    code: str = ""
    message: str = ""
    retry_after_ms: int | None = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_answer = msgspec.json.Decoder(Answer).decode


def events_of(payloads: Iterable[bytes]) -> bytes:
    """Return messages as events.

    An id is a place to resume from: the first parts of a snapshot have none, for nobody can resume from half of it, and
    no bookmark has one, for it may tell of an epoch of which the client has nothing.
    """
    return b"".join([_event(payload) for payload in payloads])


def _event(payload: bytes) -> bytes:
    head = _decode_head(payload)
    is_place = head.epoch is not None and head.part == head.parts and head.op != "bookmark"
    place = f"id: {head.epoch}-{head.version}\n".encode() if is_place else b""
    # what a producer wrote may hold line breaks; in JSON they are white space, here they would end the field
    data = payload.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"%b%b\n%b%b%b\n\n" % (_EVENT, head.op.encode(), place, _DATA, data)


def read_answer(events: bytes) -> Answer:
    """Read as much of the first event as decides about a stream."""
    op = events[len(_EVENT) : events.index(b"\n")].decode()
    if op != "error":
        return Answer(op=op)
    begin = events.index(_DATA) + len(_DATA)
    return _decode_answer(events[begin : events.index(b"\n", begin)])
