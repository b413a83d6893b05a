"""A model of one topic as the sync protocol describes it, and what a server may say about it, as JSON text.

It knows nothing of the server's code, nor of a client's: what it holds true comes from the protocol alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple
from zlib import crc32

Delivery = Literal["batch", "each", "full"]

Edit = tuple[str, bool]
"""A record's id, and whether it is deleted."""


class Record(NamedTuple):
    """A record as it stands, `version` being that of its last change."""

    version: int
    data: dict[str, Any]


Records = dict[str, Record]


class TopicHistory:
    """What was true at each `(epoch, version)`, and the change that led to it."""

    def __init__(self) -> None:
        self.epoch = 1
        self.version = 0
        self.records: dict[tuple[int, int], Records] = {(1, 0): {}}
        self.changes: dict[tuple[int, int], dict[str, Any]] = {}
        self.floor = 0
        """The first version of the epoch, before which nothing can be resumed."""

    @property
    def now(self) -> Records:
        """The records as they stand."""
        return self.records[self.epoch, self.version]

    def edit(self, record_id: str, *, is_deleted: bool) -> None:
        """Make one change."""
        records = dict(self.now)
        self.version += 1
        was_there = records.pop(record_id, None) is not None
        data = {"epoch": self.epoch, "at": self.version}
        if not is_deleted:
            records[record_id] = Record(self.version, data)
        self.records[self.epoch, self.version] = records
        self.changes[self.epoch, self.version] = {
            "id": record_id,
            "action": "deleted" if is_deleted else "updated" if was_there else "created",
            "version": self.version,
            "data": None if is_deleted else data,
        }

    def open_epoch(self, lost_versions: int) -> None:
        """Begin a new epoch in which the newest changes have never been."""
        version = max(self.floor, self.version - lost_versions)
        self.records[self.epoch + 1, version] = self.records[self.epoch, version]
        self.epoch, self.version, self.floor = self.epoch + 1, version, version

    def after(self, version: int, upto: int | None = None, *, delivery: Delivery = "batch") -> list[str]:
        """Return the messages that carry what came after a version of this epoch."""
        upto = self.version if upto is None else upto
        if version == upto:
            return []
        if delivery == "full":
            return [self.full()]
        changes = [self.changes[self.epoch, number] for number in range(version + 1, upto + 1)]
        if delivery == "each":
            return [self._message("sync", resource="servers", **change) for change in changes]
        last = {change["id"]: change for change in changes}
        conflated = sorted(last.values(), key=lambda change: change["version"])
        return [self._message("changes", topic="servers", prev=version, version=upto, changes=conflated)]

    def full(self) -> str:
        """Return the message that carries everything."""
        return self._message("full", topic="servers", version=self.version, items=self._items())

    def snapshot(self, parts: int = 1) -> list[str]:
        """Return a snapshot in so many parts."""
        items = self._items()
        return [
            self._message(
                "snapshot",
                topic="servers",
                version=self.version,
                recovered=False,
                part=number + 1,
                parts=parts,
                items=items[number::parts],
            )
            for number in range(parts)
        ]

    def subscribed(self, version: int) -> str:
        """Return the message that says that a position holds."""
        return self._message("subscribed", topic="servers", version=version, recovered=True)

    def bookmark(self) -> str:
        """Return the message that says where the topic stands."""
        digest = sum(crc32(f"{record_id}:{record.version}".encode()) for record_id, record in self.now.items())
        return self._message(
            "bookmark", topic="servers", version=self.version, digest=digest % 2**32, at="2026-01-01T00:00:00Z"
        )

    def _items(self) -> list[dict[str, Any]]:
        return [{"id": key, "version": record.version, "data": record.data} for key, record in self.now.items()]

    def _message(self, op: str, **fields: Any) -> str:  # noqa: ANN401 - fields of JSON
        return json.dumps({"op": op, "workspace": "w_1", "epoch": str(self.epoch), **fields, "newer": "unknown"})


def history_of(edits: Iterable[Edit]) -> TopicHistory:
    """Return the topic after these edits."""
    history = TopicHistory()
    for record_id, is_deleted in edits:
        history.edit(record_id, is_deleted=is_deleted)
    return history
