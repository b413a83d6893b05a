"""The audit log's form: who did what to which record from where, each entry chained to the one before it. Pure.

The hash of an entry is SHA-256 over the hash before it (32 zero bytes before the first) and the entry's canonical
encoding: a JSON array in UTF-8, without spaces, names sorted, of

    workspace_id, seq, at (RFC 3339 in UTC, always with six decimals and `Z`), actor, action, resource, record_id,
    version, origin, request_id, details

in which `version` is null where there is none. Nothing but these values enters, so that anybody can check a chain.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Self

import msgspec

INSTALLATION = ""
"""The chain of what concerns no workspace."""

GENESIS = bytes(32)
"""What the first entry of a chain is chained to."""

Details = Mapping[str, str | int | bool | list[str] | None]
"""What else there is to say. PostgreSQL gives these values back as they were; of fractions that would not be certain.
Never a secret, and nothing that a person may have typed by mistake, such as the name of an unknown user."""


class Origin(msgspec.Struct, frozen=True):
    """Where a request came from: the caller's address, and the id of the request."""

    address: str
    request_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str(origin)` gave."""
        address, _, request_id = text.partition(" ")
        return cls(address, request_id)

    def __str__(self) -> str:
        return f"{self.address} {self.request_id}"


class Actor(msgspec.Struct, frozen=True):
    """Who does something, by their id, and from where."""

    id: str
    origin: Origin


COMMAND_LINE = Actor("command line", Origin("", ""))
"""Whoever uses the commands on the server, whom nobody asks who they are; no id has a space."""

SETUP = Actor("setup at start", Origin("", ""))
"""The setup at the start, which makes what the settings say."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody did.

    `actor` is the id of a user or that of `COMMAND_LINE` or `SETUP`, empty where nobody is known. `version` is the
    topic's version after a change of a record; the journal says under it what the record became.
    """

    workspace_id: str
    at: datetime
    actor: str
    action: str
    resource: str = ""
    record_id: str = ""
    version: int | None = None
    origin: Origin
    details: Details = {}


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: how many entries it has, and the hash of the last."""

    seq: int = 0
    hash: bytes = GENESIS


class Link(msgspec.Struct, frozen=True):
    """An event in its place in a chain."""

    event: Event
    seq: int
    previous_hash: bytes
    hash: bytes


def hash_of(event: Event, seq: int, previous_hash: bytes) -> bytes:
    """Return the hash of an event in this place."""
    values = (
        event.workspace_id,
        seq,
        event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        event.actor,
        event.action,
        event.resource,
        event.record_id,
        event.version,
        event.origin.address,
        event.origin.request_id,
        event.details,
    )
    return sha256(previous_hash + msgspec.json.encode(values, order="deterministic")).digest()


def chained(head: Head, events: Iterable[Event]) -> list[Link]:
    """Return events of one chain as the links that follow its head."""
    links: list[Link] = []
    for event in events:
        seq = head.seq + 1
        link = Link(event, seq, head.hash, hash_of(event, seq, head.hash))
        links.append(link)
        head = Head(seq, link.hash)
    return links


class Verifier:
    """Follows one chain from its first entry; `head` is what was seen of it."""

    def __init__(self) -> None:
        self.head = Head()

    def follow(self, link: Link) -> str | None:
        """Take in the next link; return what is wrong with it, None when it holds."""
        before, self.head = self.head, Head(link.seq, link.hash)
        if link.seq != before.seq + 1:
            return f"entry {before.seq + 1} is missing"
        if link.previous_hash != before.hash:
            return "it is not chained to the entry before it"
        if link.hash != hash_of(link.event, link.seq, link.previous_hash):
            return "it is not what was recorded"
        return None

    def end(self, recorded: Head) -> str | None:
        """Compare the end of the chain with the head that was kept apart; return what is wrong with it."""
        if self.head == recorded:
            return None
        if self.head.seq < recorded.seq:
            return f"entries up to {recorded.seq} were recorded, and are missing"
        return f"the chain was recorded up to entry {recorded.seq} only, or with another hash"
