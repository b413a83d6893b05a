"""Which level of the history answers a question, and in steps of what length. Pure."""

import datetime as dt
from collections.abc import Mapping

import msgspec

from shared.io.problem import HttpError, bad_parameter
from shared.levels import EPOCH, ONE_DAY, ONE_MINUTE, RAW, ROLLUPS, Level, floor

MAX_POINTS = 1500
"""At most so many points are one answer."""
RAW_SPAN = MAX_POINTS * dt.timedelta(seconds=15)
"""Samples may fit into one answer up to this span: agents send one every 15 s at least where nothing else is set."""
MAX_STEP_S = 366 * 86_400
AUTO = "auto"
WORDS = (AUTO, RAW, *(level.name for level in ROLLUPS))

_BY_NAME = {level.name: level for level in ROLLUPS}
_SECOND = dt.timedelta(seconds=1)


class Plan(msgspec.Struct, frozen=True):
    """Answer with points of `step`, at times in `[begin, end)`, from rollups of `level`, or from samples where None.

    Without a step each sample is a point. Where there is one, `begin` and `end` are multiples of it.
    """

    level: Level | None
    step: dt.timedelta | None
    begin: dt.datetime
    end: dt.datetime


class Span(msgspec.Struct, frozen=True):
    """The time in question, `[begin, end)`."""

    begin: dt.datetime
    end: dt.datetime

    def samples(self) -> Plan:
        """Return the plan of answering with the samples themselves."""
        return Plan(None, None, self.begin, self.end)

    def in_steps(self, level: Level | None, step: dt.timedelta) -> Plan:
        """Return the plan of answering in whole steps: of what begins before the end, the rest is answered, too."""
        return Plan(level, step, floor(self.begin, step), floor(self.end - _SECOND / 1_000_000, step) + step)


def points_of(plan: Plan) -> int:
    """Return how many points a plan in steps may have."""
    return 0 if plan.step is None else (plan.end - plan.begin) // plan.step


def chosen(span: Span, kept_from: Mapping[str, dt.datetime]) -> Plan:
    """Return the plan in the finest steps that give few enough points and whose level still holds the beginning.

    Where none holds it, the level that reaches back the furthest is taken.
    """
    fitting = [plan for level in ROLLUPS if points_of(plan := span.in_steps(level, level.bucket)) <= MAX_POINTS]
    if not fitting:
        return _in_days(span)
    holding = (plan for plan in fitting if plan.level and kept_from[plan.level.name] <= plan.begin)
    return next(holding, fitting[-1])


def _in_days(span: Span) -> Plan:
    days = 2
    while points_of(plan := span.in_steps(ONE_DAY, days * ONE_DAY.bucket)) > MAX_POINTS:
        days += 1
    return plan


def asked_for(resolution: str, span: Span) -> Plan:
    """Return the plan that a caller wants; raises HttpError (400) for one that cannot be, or has too many points."""
    if resolution == RAW:
        return span.samples()
    plan = span.in_steps(_BY_NAME[resolution], _BY_NAME[resolution].bucket) if resolution in _BY_NAME else None
    plan = plan or span.in_steps(*_steps(resolution))
    if points_of(plan) > MAX_POINTS:
        raise too_many(f"{points_of(plan):,} points")
    return plan


def too_many(found: str) -> HttpError:
    """Return the error for what has too many points."""
    return bad_parameter("resolution", f"the span has {found} at it, at most {MAX_POINTS:,} are answered")


def _steps(text: str) -> tuple[Level | None, dt.timedelta]:
    """Read a number of seconds: any below a minute, whole minutes above."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_STEP_S))
    seconds = int(text) if is_number else 0
    if not 1 <= seconds <= MAX_STEP_S:
        raise bad_parameter("resolution", f"must be {', '.join(WORDS)}, or a number of seconds up to {MAX_STEP_S}")
    step = seconds * _SECOND
    if step < ONE_MINUTE.bucket:
        return None, step
    if step % ONE_MINUTE.bucket:
        raise bad_parameter("resolution", "must be a multiple of 60 above a minute")
    return next(level for level in reversed(ROLLUPS) if not step % level.bucket), step


def span_of(begin: dt.datetime | None, end: dt.datetime | None, now: dt.datetime, usual: dt.timedelta) -> Span:
    """Return the time in question, which ends now and is of the usual length unless something else is said.

    Raises HttpError (400).
    """
    for name, moment in (("from", begin), ("to", end)):
        if moment is not None and not EPOCH <= moment < _LATEST:
            raise bad_parameter(name, "must be from 1970 to 2999")
    end = now if end is None else end.astimezone(dt.UTC)
    begin = max(end - usual, EPOCH) if begin is None else begin.astimezone(dt.UTC)
    if begin >= end:
        raise bad_parameter("from", "must be before `to`")
    return Span(begin, end)


_LATEST = dt.datetime(3000, 1, 1, tzinfo=dt.UTC)
