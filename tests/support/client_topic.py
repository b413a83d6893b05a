"""One topic as a strict client holds it: the client table of the sync protocol as a state machine without I/O.

Where a real client would heal silently, this one raises Violation, unless the protocol allows what it saw.
With `heals` it does what the table says also where only a defect of the server can have led there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple
from zlib import crc32

Message = Mapping[str, Any]


class Violation(AssertionError):
    """The server did what the sync protocol does not allow."""


class Item(NamedTuple):
    """A record as the client holds it, `version` being that of its last change."""

    version: int
    data: Any


class Ask(NamedTuple):
    """What the client must do: subscribe again, from `since` or (None) from a snapshot."""

    since: dict[str, Any] | None


class ClientTopic:
    """Items, version and epoch of one topic; `receive` takes every message of the topic in the order it came.

    `seen` counts what happened: `snapshots`, `recovered`, `changes`, `duplicates`, `gaps`, `epochs`, `bookmarks`.
    """

    def __init__(self, *, heals: bool = False) -> None:
        self._heals = heals
        self.items: dict[str, Item] = {}
        self.epoch: str | None = None
        self.version = 0
        self.is_current = False
        """Whether everything asked for was answered."""
        self.seen: Counter[str] = Counter()
        self._wants_snapshot = True
        self._asked: dict[str, Any] | None = None
        self._parts: list[Message] = []

    @property
    def digest(self) -> int:
        """The digest of the items, as the protocol defines it."""
        return sum(crc32(f"{record_id}:{item.version}".encode()) for record_id, item in self.items.items()) % 2**32

    @property
    def data(self) -> dict[str, Any]:
        """The records alone, by their id."""
        return {record_id: item.data for record_id, item in self.items.items()}

    def disconnect(self) -> None:
        """Note that the connection is gone: what has come of a snapshot is worth nothing."""
        self.is_current = False
        self._parts = []

    def ask(self) -> Ask:
        """Return what to subscribe with, on a new connection or again on the same one."""
        self.disconnect()
        is_known = self.epoch is not None and not self._wants_snapshot
        self._asked = {"epoch": self.epoch, "version": self.version} if is_known else None
        return Ask(self._asked)

    def receive(self, message: Message) -> Ask | None:
        """Take one message; returns what to ask for, if anything. Raises Violation."""
        handle = {
            "changes": self._changes,
            "snapshot": self._snapshot,
            "subscribed": self._subscribed,
            "bookmark": self._bookmark,
            "sync": self._sync,
            "full": self._full,
        }.get(message["op"])
        if handle is None:
            raise Violation(f"unexpected {message}")
        return handle(message)

    def _changes(self, message: Message) -> Ask | None:
        _check_changes(message)
        if self._parts:
            raise Violation("changes between the parts of a snapshot")
        if self._wants_snapshot:
            return None
        if message["epoch"] != self.epoch:
            return self._new_epoch()
        prev, version = message["prev"], message["version"]
        if version <= self.version:
            self.seen["duplicates"] += 1
            return None
        if prev > self.version:
            if not self.is_current:
                return None
            self.seen["gaps"] += 1
            return self.ask()
        for change in message["changes"]:
            if change["version"] > self.version:
                self._apply(change)
        self.version = version
        self.seen["changes"] += 1
        return None

    def _sync(self, message: Message) -> Ask | None:
        change = {key: message[key] for key in ("id", "action", "version", "data")}
        version = message["version"]
        return self._changes({"epoch": message["epoch"], "prev": version - 1, "version": version, "changes": [change]})

    def _full(self, message: Message) -> Ask | None:
        if self._parts:
            raise Violation("a whole list between the parts of a snapshot")
        if self._wants_snapshot or not self.is_current:
            return None
        if message["epoch"] != self.epoch:
            return self._new_epoch()
        if message["version"] <= self.version:
            self.seen["duplicates"] += 1
            return None
        self.items = {item["id"]: Item(item["version"], item["data"]) for item in message["items"]}
        self.version = message["version"]
        self.seen["changes"] += 1
        return None

    def _apply(self, change: Message) -> None:
        if change["action"] == "deleted":
            self.items.pop(change["id"], None)
        else:
            self.items[change["id"]] = Item(change["version"], change["data"])

    def _snapshot(self, message: Message) -> Ask | None:
        self._check_part(message)
        self._parts.append(message)
        if len(self._parts) < message["parts"]:
            return None
        parts, self._parts = self._parts, []
        items = [item for part in parts for item in part["items"]]
        self.items = {item["id"]: Item(item["version"], item["data"]) for item in items}
        if len(self.items) != len(items):
            raise Violation("a snapshot names a record twice")
        if any(item.version > message["version"] for item in self.items.values()):
            raise Violation("an item of a snapshot is newer than the snapshot")
        self.epoch, self.version = message["epoch"], message["version"]
        self.is_current, self._wants_snapshot = True, False
        self.seen["snapshots"] += 1
        return None

    def _check_part(self, message: Message) -> None:
        if message["recovered"] is not False:
            raise Violation("a snapshot recovers nothing")
        if message["part"] != len(self._parts) + 1 or message["part"] > message["parts"]:
            raise Violation(f"part {message['part']} of {message['parts']} after {len(self._parts)} parts")
        if self._parts and any(message[key] != self._parts[0][key] for key in ("epoch", "version", "parts")):
            raise Violation("parts of different snapshots are mixed")
        is_older = message["epoch"] == self.epoch and message["version"] < self.version
        if is_older and not self._wants_snapshot:
            raise Violation(f"snapshot of version {message['version']} after version {self.version} was seen")

    def _subscribed(self, message: Message) -> Ask | None:
        if message["recovered"] is not True or self.is_current or self._wants_snapshot:
            raise Violation(f"nothing to recover was asked for: {message}")
        if {"epoch": message["epoch"], "version": message["version"]} != self._asked:
            raise Violation(f"recovered from {message['epoch']}-{message['version']}, asked for {self._asked}")
        self.is_current = True
        self.seen["recovered"] += 1
        return None

    def _bookmark(self, message: Message) -> Ask | None:
        self.seen["bookmarks"] += 1
        if self._wants_snapshot or not self.is_current:
            return None
        if message["epoch"] != self.epoch:
            return self._new_epoch()
        if message["version"] > self.version:
            self.seen["gaps"] += 1
            return self.ask()
        if message["version"] == self.version and message["digest"] != self.digest:
            if self._heals:
                self._wants_snapshot = True
                return self.ask()
            raise Violation(f"digest {message['digest']} at version {self.version}, the items give {self.digest}")
        return None

    def _new_epoch(self) -> Ask:
        self.seen["epochs"] += 1
        self._wants_snapshot = True
        return self.ask()


def _check_changes(message: Message) -> None:
    """Check what holds for every frame of changes, whatever the client has seen."""
    versions = [change["version"] for change in message["changes"]]
    if not versions or sorted(set(versions)) != versions:
        raise Violation(f"changes out of order: {versions}")
    if not (message["prev"] < versions[0] and versions[-1] == message["version"]):
        raise Violation(f"changes {versions} in a frame from {message['prev']} to {message['version']}")
    if len({change["id"] for change in message["changes"]}) != len(versions):
        raise Violation("a frame names a record twice")
    for change in message["changes"]:
        if change["action"] not in {"created", "updated", "deleted"}:
            raise Violation(f"unknown action {change['action']}")
        if (change["data"] is None) != (change["action"] == "deleted"):
            raise Violation(f"{change['action']} with data {change['data']}")
