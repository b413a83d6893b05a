"""Who is offline, and whose fault it is. Pure; all times are of the Redis server, in ms.

Silence means something only while somebody listened: for `offline_after_ms` after the sweeper or ingest was away,
nobody is called offline, because agents had no chance to be heard. When very many of a workspace fall silent at once,
the fault is taken to be between us and them: they become `unknown` first, and offline if they stay silent although
other agents, be it of another workspace, have been heard for a while: as long as nobody is, the fault may still lie
before our door.

While ingest is away for longer than a server may be silent, nobody knows anything of the servers that have fallen
silent meanwhile: they are `unknown`, and online again when they are heard. A shorter restart changes nothing.

Agents that could not reach us wait longer and longer between their attempts, and are let in some at a time. However the
way to us was closed, for `return_grace_ms` after it is open again those that are not heard are at most `unknown`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

import msgspec

from shared.names import INGEST_ABSENT_AFTER_MS
from shared.resources.agents import Agent
from shared.resources.servers import Server

HELD_SHARE = 0.3
"""A larger share of a workspace's servers than this, falling silent in one sweep, is held back."""
HELD_LEAST = 5
"""Fewer than this are never held back."""


class Listening(msgspec.Struct, frozen=True):
    """Since when we have been listening; None where it never was noted.

    `swept_since_ms` begins the current run of sweeps without a break, `beat_ms` is ingest's newest sign of life,
    `left_ms` is when one of its replicas last took leave, `returned_ms` begins the time since which it has been there
    without a break, `unheard_ms` is the last sweep at which no agent of whatever workspace had been heard for a while.
    """

    swept_since_ms: int | None
    beat_ms: int | None
    returned_ms: int | None
    left_ms: int | None = None
    unheard_ms: int | None = None


class Due(msgspec.Struct, frozen=True, order=True):
    """A deadline that has passed: its score, whose it is, and whether it is that of a server held back already."""

    score_ms: int
    workspace_id: str
    server_id: str
    is_held: bool = False


class Verdict(Enum):
    """What a passed deadline leads to."""

    OFFLINE = "offline"
    UNKNOWN = "unknown"


def longest_gap_ms(sweep_interval_s: float) -> int:
    """Return how far apart two sweeps may be before the sweepers count as having been away."""
    return int(sweep_interval_s * 2000) + 1000


def deafness(now_ms: int, listening: Listening, offline_after_ms: int) -> str | None:
    """Say why nobody may be called offline now; None when silence means something."""
    if listening.beat_ms is None or now_ms - listening.beat_ms > INGEST_ABSENT_AFTER_MS:
        return "ingest is away"
    if listening.returned_ms is None or now_ms - listening.returned_ms < offline_after_ms:
        return "ingest was away"
    if listening.swept_since_ms is None or now_ms - listening.swept_since_ms < offline_after_ms:
        return "the sweepers were away"
    return None


def is_long_away(now_ms: int, listening: Listening, offline_after_ms: int) -> bool:
    """Whether ingest has been away for longer than a server may be silent."""
    there_ms = max(listening.beat_ms or 0, listening.left_ms or 0)
    return now_ms - there_ms > offline_after_ms


def judge_unheard(due: Iterable[Due]) -> list[tuple[Due, Verdict]]:
    """Decide on deadlines that have passed while nobody could be heard; those held back already stay so."""
    return [(one, Verdict.UNKNOWN) for one in sorted(due) if not one.is_held]


def listening_since_ms(listening: Listening) -> int:
    """Return since when whoever spoke would have been heard, provided that silence means something at all."""
    return max(listening.returned_ms or 0, listening.swept_since_ms or 0)


def is_stale(now_ms: int, threshold_ms: int, agent: Agent, server: Server | None, since_ms: int) -> bool:
    """Whether a registration is to go: nobody has heard of its agent for longer than the threshold.

    While its server is not offline it is heard, or was not given up. `since_ms` is when we began to listen. A record
    changes with what an agent says of itself and with its coming and going, not with its samples; that is enough here.
    """
    if server is not None and server.status != "offline":
        return False
    heard = [agent.last_heartbeat]
    if server is not None and server.last_seen is not None:
        heard.append(server.last_seen)
    last_ms = max(since_ms, *(int(at.timestamp() * 1000) for at in heard))
    return now_ms - last_ms > threshold_ms


def is_returning(now_ms: int, listening: Listening, return_grace_ms: int) -> bool:
    """Whether agents may still be on their way back because ingest was away."""
    return listening.returned_ms is None or now_ms - listening.returned_ms < return_grace_ms


def is_way_open(now_ms: int, listening: Listening, return_grace_ms: int) -> bool:
    """Whether agents have come through for so long that each had its chance."""
    # one that is noted for later was so before the clock was set back
    return listening.unheard_ms is None or not 0 <= now_ms - listening.unheard_ms < return_grace_ms


def judge(
    due: Iterable[Due], silent: Mapping[str, int], armed: Mapping[str, int], *, way_open: bool
) -> list[tuple[Due, Verdict]]:
    """Decide on deadlines that have passed; one without a verdict is to be looked at again.

    `silent` and `armed` count each workspace's servers whose deadline has passed, and all that have one; those held
    back are in neither. `due` may be a part of the silent ones.
    """
    passed = sorted(due)
    held_back = {
        workspace_id
        for workspace_id, count in silent.items()
        if count >= HELD_LEAST and count > HELD_SHARE * armed[workspace_id]
    }
    stay_silent = Counter(one.workspace_id for one in passed if one.is_held)
    return [
        (one, Verdict.UNKNOWN if one.workspace_id in held_back and not one.is_held else Verdict.OFFLINE)
        for one in passed
        if not one.is_held or way_open or stay_silent[one.workspace_id] < HELD_LEAST
    ]
