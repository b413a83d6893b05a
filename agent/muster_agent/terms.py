"""What the server wants of this agent: how often, how much at once, and how fast what was missed may follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from muster_agent.settings import is_valid_interval

HEARTBEAT_S = 15.0
WINDOW = 8
BACKFILL_PER_S = 100.0
SHORTEST_HEARTBEAT_S = 0.1
LONGEST_HEARTBEAT_S = 3600.0
LARGEST_WINDOW = 1000
HIGHEST_BACKFILL_PER_S = 10_000.0


@dataclass(frozen=True)
class Terms:
    """`interval_s` is None where the server gave none that can be kept; `rotate` asks the agent for another secret."""

    interval_s: float | None = None
    heartbeat_s: float = HEARTBEAT_S
    window: int = WINDOW
    backfill_per_s: float = BACKFILL_PER_S
    rotate: bool = False


def of(stored: Mapping[str, object], before: Terms = Terms()) -> Terms:
    """Read the server's fields; what is missing or makes no sense stays as it was `before`.

    But for `rotate`, which is a wish of one message.
    """
    interval_s = number(stored.get("interval_s"))
    heartbeat_s = number(stored.get("heartbeat_s"))
    window = number(stored.get("window"))
    backfill_per_s = number(stored.get("backfill_per_s"))
    return Terms(
        before.interval_s if interval_s is None or not is_valid_interval(interval_s) else interval_s,
        _within(heartbeat_s, SHORTEST_HEARTBEAT_S, LONGEST_HEARTBEAT_S, before.heartbeat_s),
        int(_within(window, 1, LARGEST_WINDOW, before.window)),
        _within(backfill_per_s, 0.0, HIGHEST_BACKFILL_PER_S, before.backfill_per_s),
        stored.get("rotate") is True,
    )


def number(value: object) -> float | None:
    """Read a number of a message, from whoever sent it; None where it is none, or too large to be one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None


def _within(value: float | None, lowest: float, highest: float, otherwise: float) -> float:
    return otherwise if value is None or value < lowest else min(value, highest)
