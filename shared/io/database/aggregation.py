"""SQL that makes fewer, longer buckets of the history of metrics out of more, shorter ones.

A sample and a bucket are first brought into one form, "parts"; parts of any mixture add up. Averages are weighted by
the samples that have the column: all of the part's, or what `counts` says.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from shared.levels import COUNTERS, GAUGES, Level

KEYS = ("workspace_id", "server_id", "ts")
BEGINNING = "timestamptz '1970-01-01 00:00:00+00'"
"""What buckets are counted from: `shared.levels.EPOCH`."""

_LEAST = "1e-37"
_GAUGE_PLACE = {gauge: place for place, gauge in enumerate(GAUGES, 1)}


def columns(fields: Iterable[str] = (*COUNTERS, *GAUGES)) -> tuple[str, ...]:
    """Return the columns that a rollup has for these measurements, which are all by default."""
    return tuple(
        column
        for field in fields
        for column in ((f"{field}_max",) if field in COUNTERS else (f"{field}_avg", f"{field}_min", f"{field}_max"))
    )


COLUMNS = (*KEYS, "samples", "counts", *columns())
"""All columns of a rollup."""


def raw_parts(alias: str = "raw", fields: Sequence[str] = (*COUNTERS, *GAUGES)) -> str:
    """Return what selects samples as parts, from `metrics_history` under this alias."""
    return _select(
        alias,
        ("1 AS samples", "NULL::integer[] AS counts"),
        (f"{alias}.{column.rpartition('_')[0]}{_type(column)} AS {column}" for column in columns(fields)),
    )


def rollup_parts(alias: str = "rollup", fields: Sequence[str] = (*COUNTERS, *GAUGES)) -> str:
    """Return what selects the rows of a rollup as parts."""
    return _select(alias, (f"{alias}.samples", f"{alias}.counts"), (f"{alias}.{column}" for column in columns(fields)))


def _select(alias: str, counted: Iterable[str], values: Iterable[str]) -> str:
    return ", ".join([*(f"{alias}.{key}" for key in KEYS), *counted, *values])


def _type(column: str) -> str:
    field = column.rpartition("_")[0]
    return "" if field in COUNTERS else "::real"


@cache
def sums(fields: tuple[str, ...] = (*COUNTERS, *GAUGES)) -> str:
    """Return aggregates of parts under the name `part`: the columns of these measurements, in their order."""
    return ", ".join(f"{_sum(column)} AS {column}" for column in columns(fields))


def _sum(column: str) -> str:
    field, _, kind = column.rpartition("_")
    if kind != "avg":
        return f"{kind}(part.{column})"
    weight = f"coalesce(part.counts[{_GAUGE_PLACE[field]}], part.samples)"
    average = f"sum(part.{column}::float8 * {weight}) / nullif({_count(field)}, 0)"
    # PostgreSQL refuses to make a `real` of what is too small for it, and one such sample would hold up everything
    return f"(CASE WHEN {average} < {_LEAST} THEN 0 ELSE {average} END)::real"


def _count(gauge: str) -> str:
    weight = f"coalesce(part.counts[{_GAUGE_PLACE[gauge]}], part.samples)"
    return f"coalesce(sum({weight}) FILTER (WHERE part.{gauge}_avg IS NOT NULL), 0)"


@cache
def rolled_up(level: Level, parts: str) -> str:
    """Return the statement that stores the buckets which these parts amount to; what was stored of them is replaced.

    `parts` selects from anything; it must hold all that there is of each bucket of which it holds something.
    """
    counts = [_count(gauge) for gauge in GAUGES]
    all_or_none = " AND ".join(f"{count} IN (0, sum(part.samples))" for count in counts)
    replaced = ", ".join(f"{column} = excluded.{column}" for column in COLUMNS if column not in KEYS)
    return (
        f"INSERT INTO {level.table} ({', '.join(COLUMNS)}) "  # noqa: S608  (declared names)
        f"SELECT part.workspace_id, part.server_id, {bin_of(level)} AS bucket, sum(part.samples), "
        f"CASE WHEN NOT ({all_or_none}) THEN ARRAY[{', '.join(counts)}]::integer[] END, {sums()} "
        f"FROM ({parts}) AS part GROUP BY part.workspace_id, part.server_id, bucket "
        f"ON CONFLICT (workspace_id, server_id, ts) DO UPDATE SET {replaced}"
    )


def bin_of(level: Level) -> str:
    """Return the beginning of the bucket in which a part lies."""
    return f"date_bin('{int(level.bucket.total_seconds())} seconds', part.ts, {BEGINNING})"
