"""Measures how far the clocks of agents are ahead, by the samples that come; their records say it.

Nothing here is missed by another replica: where an agent is not known yet, its record and its start are looked up.
"""

import re
from collections.abc import Callable
from datetime import datetime

from services.ingest.credentials import AgentIdentity
from services.ingest.presence import Presence
from services.ingest.skew import SkewEstimate
from shared.io.faults import as_retry_later
from shared.resources.metrics import Sample

MAX_MEASURED = 50_000
"""So many agents are measured; beyond them, the one that was known first is looked up again when it comes."""


_WINDOW = re.compile(r"([\w-]+) (?:[\d,-]*-)?(\d*)")


class Clocks:
    """One for each process, for all that agents send themselves; `clock` gives seconds that never go back."""

    def __init__(
        self,
        presence: Presence,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        capacity: int = MAX_MEASURED,
    ) -> None:
        self._presence = presence
        self._now = now
        self._clock = clock
        self._capacity = capacity
        self._estimates: dict[str, SkewEstimate] = {}

    def is_due(self, identity: AgentIdentity) -> bool:
        """Whether it is time to measure an agent; to be asked before `measure`, since it seldom is."""
        estimate = self._estimates.get(identity.agent_id)
        return estimate is None or estimate.is_due(self._clock())

    def begin(self, identity: AgentIdentity, estimate: SkewEstimate) -> None:
        """Measure the start of an agent that shook hands last."""
        estimates = self._estimates
        estimates.pop(identity.agent_id, None)
        estimates[identity.agent_id] = estimate
        if len(estimates) > self._capacity:
            del estimates[next(iter(estimates))]

    async def measure(self, identity: AgentIdentity, sample: Sample) -> None:
        """Take the last sample of a message that is in the log, and note what it tells.

        What cannot be noted now, a later one tells again: the message was taken.
        """
        if not (sample.boot_id and sample.seq):
            return
        try:
            await self._measure(identity, await self._estimate_of(identity, sample.boot_id), sample)
        except Exception as error:
            if as_retry_later(error) is None:
                raise

    async def _estimate_of(self, identity: AgentIdentity, boot_id: str) -> SkewEstimate:
        """Return the estimate of an agent; where it is of another start, look up now and then which is right."""
        known, now_s = self._estimates.get(identity.agent_id), self._clock()
        if known is not None and (known.boot_id == boot_id or not known.may_be_over(now_s)):
            return known
        window, told_s = await self._presence.clock_of(identity)
        leading_id, last_seq = leading_start(window)
        if known is not None and known.boot_id == leading_id:
            return known
        found = SkewEstimate(leading_id, told_s, newest_seq=last_seq - 1)
        self.begin(identity, found)
        return found

    async def _measure(self, identity: AgentIdentity, estimate: SkewEstimate, sample: Sample) -> None:
        told_s = estimate.told_s
        moved_to_s = estimate.measure(sample.boot_id, sample.seq, sample.ts, self._now(), self._clock())
        if moved_to_s is None:
            return
        try:
            window, _ = await self._presence.clock_of(identity)
            if leading_start(window)[0] != estimate.boot_id:  # another one has shaken hands, maybe by another replica
                self._estimates.pop(identity.agent_id, None)
                return
            await self._presence.note_skew(identity, moved_to_s)
        except Exception:
            estimate.told_s = told_s
            raise


def leading_start(window: str) -> tuple[str, int]:
    """Return the start of an agent whose samples are the latest, and the last of their numbers; "" for none.

    That is the one that shook hands last; where none did, the one of which the latest sample came. `window` is as
    `append.lua` writes it.
    """
    found = _WINDOW.search(window, window.find("!") + 1)
    return (found[1], int(found[2] or 0)) if found else ("", 0)
