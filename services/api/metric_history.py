"""Reads the history of a server's metrics: samples, or what they amount to in steps, up to this moment.

PostgreSQL makes the JSON of the points: a point has up to 60 numbers, and nothing here looks at any of them.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from statistics import median

import asyncpg
import msgspec

from services.api.gaps import Points, gaps_of
from services.api.resolution import AUTO, MAX_POINTS, RAW_SPAN, Plan, Span, asked_for, chosen, too_many
from shared.errors import NotFound
from shared.io.database.aggregation import BEGINNING, raw_parts, rollup_parts, sums
from shared.io.database.queries import queries
from shared.levels import COUNTERS, GAUGES, RAW, ROLLUPS, Level
from shared.names import is_id

_SQL = queries("metric_history")


class Question(msgspec.Struct, frozen=True):
    """What is asked of a server's history: which time, in what resolution, which measurements."""

    workspace_id: str
    server_id: str
    span: Span
    resolution: str
    fields: tuple[str, ...]


class MetricHistory:
    """Answers questions about servers' history."""

    def __init__(self, pool: asyncpg.Pool, *, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._pool = pool
        self.now = now

    async def answer(self, question: Question) -> bytes:
        """Return the JSON of an answer.

        Raises NotFound for a server that the workspace does not have, and HttpError (400) for a resolution at which
        there are too many points.
        """
        async with self._pool.acquire() as connection:
            levels = await self._levels(connection, question)
            kept_from = {name: level["kept_from"] for name, level in levels.items()}
            plan = await self._plan(connection, question, kept_from)
            rolled_until = {name: level["rolled_until"] for name, level in levels.items()}
            row = await connection.fetchrow(*_statement(question, plan, rolled_until))
        return self._encoded(question, plan, row)

    async def _levels(self, connection: asyncpg.Connection, question: Question) -> dict[str, asyncpg.Record]:
        names = {"workspace_id": question.workspace_id, "server_id": question.server_id}
        rows = [row async for row in _SQL.levels_for(connection, **names)] if is_id(question.server_id) else []
        if not rows:
            raise NotFound(f"there is no {question.server_id!r} among the servers")
        return {row["level"]: row for row in rows}

    async def _plan(
        self, connection: asyncpg.Connection, question: Question, kept_from: Mapping[str, dt.datetime]
    ) -> Plan:
        span, is_free = question.span, question.resolution == AUTO
        plan = span.samples() if is_free else asked_for(question.resolution, span)
        if is_free and (span.end - span.begin > RAW_SPAN or kept_from[RAW] > span.begin):
            return chosen(span, kept_from)
        if plan.step is None:
            count = await _SQL.count_samples(
                connection,
                workspace_id=question.workspace_id,
                server_id=question.server_id,
                begin=span.begin,
                end=span.end,
                most=MAX_POINTS + 1,
            )
            if count > MAX_POINTS:
                if not is_free:
                    raise too_many(f"more than {MAX_POINTS:,} samples")
                return chosen(span, kept_from)
        return plan

    def _encoded(self, question: Question, plan: Plan, row: asyncpg.Record) -> bytes:
        times: list[dt.datetime] = row["times"] or []
        span = question.span
        points = Points(times, row["samples"] or [], plan.step or dt.timedelta(0))
        gaps = gaps_of(points, span.begin, min(span.end, self.now()))
        head = {
            "resolution": plan.level.name if plan.level else RAW,
            "resolution_s": plan.step.total_seconds() if plan.step else _interval_s(times),
        }
        return b'%b,"points":[%b],"gaps":%b}' % (
            msgspec.json.encode(head)[:-1],
            (row["points"] or "").encode(),
            msgspec.json.encode(gaps),
        )


def _interval_s(times: list[dt.datetime]) -> float | None:
    distances = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    return round(median(distances), 3) if distances else None


def _statement(question: Question, plan: Plan, rolled_until: Mapping[str, dt.datetime]) -> tuple[object, ...]:
    """Return the statement that reads what a plan needs, and its arguments."""
    arguments: list[object] = [question.workspace_id, question.server_id]
    if plan.step is None:
        return _samples_sql(question.fields), *arguments, plan.begin, plan.end
    arguments.append(plan.step)
    tables: list[str] = []
    for level, begin, end in sources(plan, rolled_until):
        tables.append(level.table if level else "")
        arguments += [begin, end]
    return _steps_sql(question.fields, tuple(tables)), *arguments


def sources(plan: Plan, rolled_until: Mapping[str, dt.datetime]) -> list[tuple[Level | None, dt.datetime, dt.datetime]]:
    """Return from which levels to read what times: each as far as it is made, then the finer ones, then the samples."""
    found: list[tuple[Level | None, dt.datetime, dt.datetime]] = []
    begin = plan.begin
    coarse_first = reversed(ROLLUPS[: ROLLUPS.index(plan.level) + 1]) if plan.level else ()
    for level in coarse_first:
        end = min(rolled_until[level.name], plan.end)
        if begin < end:
            found.append((level, begin, end))
            begin = end
    if begin < plan.end or not found:
        found.append((None, begin, plan.end))
    return found


_TIME = "to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS{fraction}\"Z\"')"
_ANSWER = (
    "SELECT string_agg(point, ',' ORDER BY ts) AS points, array_agg(ts ORDER BY ts) AS times, "
    "array_agg(samples ORDER BY ts) AS samples FROM "
)


@lru_cache(maxsize=256)
def _samples_sql(fields: tuple[str, ...]) -> str:
    """Return what reads samples between $3 and $4 as points, of which average, least and greatest are the same."""
    gauges = _members((field, field) for field in fields if field in GAUGES)
    counters = _members((field, field) for field in fields if field in COUNTERS)
    return (
        f"{_ANSWER} (SELECT ts, 1 AS samples, "  # noqa: S608  (declared names)
        f'\'{{"ts":"\' || {_TIME.format(fraction=".US")} || \'","avg":{{\' || gauges || \'}},"min":{{\' || gauges '
        "|| '},\"max\":{' || concat_ws(',', nullif(gauges, ''), nullif(counters, '')) || '}}' AS point "
        f"FROM (SELECT ts, {gauges} AS gauges, {counters} AS counters FROM metrics_history "
        "WHERE workspace_id = $1 AND server_id = $2 AND ts >= $3 AND ts < $4 "
        f"ORDER BY ts LIMIT {MAX_POINTS}) AS sample) AS answer"
    )


@lru_cache(maxsize=256)
def _steps_sql(fields: tuple[str, ...], tables: tuple[str, ...]) -> str:
    """Return what reads steps of the length $3 from these tables, the samples where one is `""`, as points.

    From $4 on the arguments are from when and until when each table is read.
    """
    gauges = [field for field in fields if field in GAUGES]
    parts = " UNION ALL ".join(_parts(fields, table, 4 + 2 * place) for place, table in enumerate(tables))
    members = {
        kind: _members((field, f"{field}_{kind}") for field in (fields if kind == "max" else gauges))
        for kind in ("avg", "min", "max")
    }
    return (
        f"{_ANSWER} (SELECT ts, samples, "  # noqa: S608  (declared names)
        f'\'{{"ts":"\' || {_TIME.format(fraction="")} || \'","avg":{{\' || {members["avg"]} || \'}},"min":{{\' '
        f"|| {members['min']} || '}},\"max\":{{' || {members['max']} || '}}}}' AS point FROM ("
        f"SELECT date_bin($3, part.ts, {BEGINNING}) AS ts, sum(part.samples) AS samples, {sums(fields)} "
        f"FROM ({parts}) AS part GROUP BY 1) AS bucket) AS answer"
    )


def _parts(fields: tuple[str, ...], table: str, argument: int) -> str:
    selected = rollup_parts("source", fields) if table else raw_parts("source", fields)
    return (
        f"SELECT {selected} FROM {table or 'metrics_history'} source "  # noqa: S608  (declared names)
        f"WHERE workspace_id = $1 AND server_id = $2 AND ts >= ${argument} AND ts < ${argument + 1}"
    )


def _members(named: Iterable[tuple[str, str]]) -> str:
    """Return what joins the members of a JSON object, leaving out those that are NULL."""
    members = ", ".join(f"'\"{name}\":' || {column}" for name, column in named)
    return f"concat_ws(',', {members})" if members else "''"
