"""A model of one topic's log: what was appended, and what was true at every version of every epoch."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
from hypothesis import strategies as st

from shared.change import Action, Change, ChangeSet
from shared.names import Topic
from shared.position import Position
from shared.topic import Record, Snapshot

TOPIC = Topic("w_1", "servers")

Edit = tuple[str, bool]
"""A record's id, and whether it is deleted."""

edits = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=4)


class Log:
    """Entries of a topic; `history` has the records as they stood at each `(epoch, version)`."""

    def __init__(self) -> None:
        self.epoch = 1
        self.seq = 0
        self.version = 0
        self.entries: list[ChangeSet] = []
        self.history: dict[tuple[int, int], dict[str, Record]] = {(1, 0): {}}

    @property
    def records(self) -> dict[str, Record]:
        """The records as they stand."""
        return self.history[self.epoch, self.version]

    def append(self, batch: Iterable[Edit]) -> ChangeSet:
        """Append one change set and return it."""
        prev, changes = self.version, []
        for record_id, is_deleted in batch:
            records = dict(self.records)
            self.version += 1
            data = json.dumps({"at": self.version}).encode()
            was_there = records.pop(record_id, None) is not None
            action: Action = "deleted" if is_deleted else "updated" if was_there else "created"
            changes.append(Change(record_id, action, self.version, None if is_deleted else msgspec.Raw(data)))
            if not is_deleted:
                records[record_id] = Record(record_id, self.version, data)
            self.history[self.epoch, self.version] = records
        self.seq += 1
        position = Position(self.epoch, self.seq)
        self.entries.append(ChangeSet(position, TOPIC, prev, self.version, 0, "test", "", tuple(changes)))
        return self.entries[-1]

    def open_epoch(self, *, lost_versions: int) -> None:
        """Begin a new epoch, as after a loss of the newest changes."""
        version = max(0, self.version - lost_versions)
        while (self.epoch, version) not in self.history:  # the epoch began later
            version += 1
        self.history[self.epoch + 1, version] = self.history[self.epoch, version]
        self.epoch, self.seq, self.version = self.epoch + 1, 0, version

    def snapshot(self) -> Snapshot:
        """Return the records as Redis would give them."""
        return Snapshot(self.epoch, self.version, tuple(self.records.values()))


def log_of(batches: Iterable[Iterable[Edit]]) -> Log:
    """Return the log of these change sets."""
    log = Log()
    for batch in batches:
        log.append(batch)
    return log
