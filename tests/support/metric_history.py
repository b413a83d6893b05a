"""History of metrics in a test: samples that are committed as by the worker, and what they must amount to."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from asyncpg import Connection, Pool

from services.worker.commit import Committer
from services.worker.projection import project
from shared.change import Change, ChangeSet
from shared.io.changelog.guardian import Checkpoint
from shared.io.database.aggregation import COLUMNS
from shared.levels import COUNTERS, EPOCH, GAUGES, Level, floor
from shared.names import PARTITIONS, Topic, partition_of
from shared.position import Position
from shared.resources.metrics import Sample

Key = tuple[str, str, dt.datetime]
"""Workspace, server, and the beginning of a bucket."""

Told = tuple[str, str, Sample]
"""Workspace, server, and a sample of it."""


async def level_stands_at(database: Connection | Pool, moment: dt.datetime) -> None:
    """Let history begin at a moment: nothing is rolled up, nothing is closed."""
    await database.execute("UPDATE metrics_levels SET rolled_until = $1, kept_from = $2", moment, EPOCH)
    await database.execute(
        "INSERT INTO checkpoints (partition, closed_until) SELECT n, $1 FROM generate_series(0, $2::int - 1) AS n "
        "ON CONFLICT (partition) DO UPDATE SET closed_until = excluded.closed_until",
        moment,
        PARTITIONS,
    )


class HistoryWriter:
    """Commits samples, each call one batch of the applier of its workspace's partition."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seq = 0
        self._checkpoints: dict[int, Checkpoint] = {}

    async def commit(self, told: Iterable[Told]) -> None:
        """Commit samples in this order."""
        by_workspace: dict[str, list[Change]] = defaultdict(list)
        for workspace_id, server_id, sample in told:
            self._seq += 1
            data = msgspec.Raw(msgspec.json.encode(sample))
            by_workspace[workspace_id].append(Change(server_id, "updated", self._seq, data))
        for workspace_id, changes in by_workspace.items():
            await self._commit(workspace_id, tuple(changes))

    async def _commit(self, workspace_id: str, changes: tuple[Change, ...]) -> None:
        partition = partition_of(workspace_id)
        checkpoint = self._checkpoints.get(partition) or await self._take_over(partition)
        position = Position(checkpoint.position.epoch, checkpoint.position.seq + 1)
        last = changes[-1].version
        entry = ChangeSet(position, Topic(workspace_id, "metrics"), 0, last, 0, "test", "", changes)
        committer = Committer(self._connection, partition)
        self._checkpoints[partition] = await committer.commit(checkpoint, [entry], project([entry]))

    async def _take_over(self, partition: int) -> Checkpoint:
        row = await self._connection.fetchrow(
            "INSERT INTO checkpoints (partition) VALUES ($1) ON CONFLICT (partition) DO UPDATE SET fence = "
            "checkpoints.fence + 1 RETURNING epoch, seq, fence",
            partition,
        )
        assert row is not None
        return Checkpoint(Position(row["epoch"], row["seq"]), row["fence"], "")


async def stored(database: Connection | Pool, level: Level) -> dict[Key, dict[str, Any]]:
    """Return the rows of a level by their keys; of each gauge with the number of samples that have it."""
    rows = await database.fetch(f"SELECT {', '.join(COLUMNS)} FROM {level.table}")  # noqa: S608  (declared names)
    found = {}
    for row in rows:
        values = dict(row)
        key = values.pop("workspace_id"), values.pop("server_id"), values.pop("ts")
        counts = values.pop("counts")
        for place, gauge in enumerate(GAUGES):
            held = 0 if values[f"{gauge}_avg"] is None else values["samples"]
            values[f"{gauge}_count"] = held if counts is None else counts[place]
        found[key] = values
    return found


def amounts(told: Iterable[Told], level: Level) -> dict[Key, dict[str, Any]]:
    """Return what samples amount to, directly."""
    buckets: dict[Key, list[Sample]] = defaultdict(list)
    for workspace_id, server_id, sample in told:
        buckets[workspace_id, server_id, floor(sample.ts, level.bucket)].append(sample)
    return {key: _amount(samples) for key, samples in buckets.items()}


def _amount(samples: Sequence[Sample]) -> dict[str, Any]:
    amount: dict[str, Any] = {"samples": len(samples)}
    for name in (*COUNTERS, *GAUGES):
        values = [value for sample in samples if (value := getattr(sample, name)) is not None]
        amount[f"{name}_max"] = max(values, default=None)
        if name in GAUGES:
            amount[f"{name}_min"] = min(values, default=None)
            amount[f"{name}_avg"] = math.fsum(values) / len(values) if values else None
            amount[f"{name}_count"] = len(values)
    return amount


def assert_alike(expected: Mapping[Key, Mapping[str, Any]], actual: Mapping[Key, Mapping[str, Any]]) -> None:
    """Assert that rollups are the same but for what single precision loses."""
    assert set(expected) == set(actual)
    for key, amount in expected.items():
        for name, value in amount.items():
            found = actual[key][name]
            is_alike = value == found or (
                value is not None and found is not None and math.isclose(value, found, rel_tol=2e-6, abs_tol=1e-30)
            )
            assert is_alike, f"{key} {name}: {value} was expected, {found} is stored"
