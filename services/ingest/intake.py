"""Takes an agent's samples in: from the bytes that it sent to the acknowledgement that they are in the log."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from services.ingest import counts
from services.ingest.account import Account
from services.ingest.beacon import Beacon
from services.ingest.clocks import Clocks
from services.ingest.credentials import AgentIdentity
from services.ingest.items import TooManySamples
from services.ingest.messages import MetricsTaken
from services.ingest.presence import Presence
from services.ingest.rates import Rates
from services.ingest.samples import Batch, batch_of, batch_of_each, read_batch
from shared.errors import Malformed, MusterError, NotFound, Rejected
from shared.io.changelog.append import ChangeLog
from shared.io.problem import HttpError
from shared.operation import Appended, Deadline, Draft, Operation
from shared.resources.metrics import Sample


class Intake:
    """One for each process; whatever door the samples come in by, and once their message was let in by `account`."""

    def __init__(  # noqa: PLR0913  (its parts)
        self,
        changes: ChangeLog,
        presence: Presence,
        beacon: Beacon,
        rates: Rates,
        clocks: Clocks,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._changes = changes
        self._presence = presence
        self._beacon = beacon
        self._rates = rates
        self.clocks = clocks
        self._now = now

    async def take(self, identity: AgentIdentity, body: bytes) -> MetricsTaken:
        """Append one sample or an array of them; what was sent before counts as accepted.

        Raises HttpError (413), Malformed for what is no JSON, Rejected for a single bad sample, NotFound for a
        server without a record, and RetryLater: nothing is lost, send it again.
        """
        return await self._put(identity, self._read(identity, partial(read_batch, body)))

    async def take_each(self, identity: AgentIdentity, samples: Sequence[msgspec.Raw]) -> MetricsTaken:
        """Append those of an array that can be taken; else as `take`."""
        return await self._put(identity, self._read(identity, partial(batch_of_each, samples)))

    async def take_decoded(self, identity: AgentIdentity, samples: Sequence[Sample]) -> MetricsTaken:
        """Append samples that another program has made, which tell nothing of the agent's clock; else as `take`."""
        return await self._put(identity, self._read(identity, partial(batch_of, samples)), tells_time=False)

    async def take_relayed(self, identity: AgentIdentity, samples: Sequence[msgspec.Raw]) -> MetricsTaken:
        """Append those that can be taken of what a relay has collected, however long ago; else as `take`."""
        return await self._put(identity, self._read(identity, partial(batch_of_each, samples)), tells_time=False)

    async def take_together(
        self, identity: AgentIdentity, messages: Sequence[Sequence[Sample]]
    ) -> list[MetricsTaken | MusterError]:
        """Append the samples of several messages in one go; of each what became of it, or why it cannot be taken.

        Raises what concerns all of them: NotFound and RetryLater, as `take`.
        """
        outcomes: list[MetricsTaken | MusterError] = []
        drafts: list[Draft] = []
        last: Sample | None = None
        for samples in messages:
            try:
                batch = self._read(identity, partial(batch_of, samples))
            except MusterError as error:
                outcomes.append(error)
            else:
                drafts += batch.drafts
                last = batch.last or last
                outcomes.append(MetricsTaken(len(batch.drafts), batch.rejected))
        if not all(isinstance(outcome, MusterError) for outcome in outcomes):
            await self._append(identity, drafts)
            await self._look_at_clock(identity, last)
        return outcomes

    def account(self, identity: AgentIdentity) -> Account:
        """Return what keeps an agent to what it may send."""
        return Account(self._rates, identity.agent_id, "this agent")

    def _read(self, identity: AgentIdentity, read: Callable[[str, datetime], Batch]) -> Batch:
        """Read a message's samples; the first one is paid for already."""
        batch = _counted(partial(read, identity.server_id, self._now()))
        count = len(batch.drafts) + len(batch.rejected)
        if count > 1:
            self._rates.charge(identity.agent_id, count - 1)
        return batch

    async def _put(self, identity: AgentIdentity, batch: Batch, *, tells_time: bool = True) -> MetricsTaken:
        await self._append(identity, batch.drafts)
        if tells_time:
            await self._look_at_clock(identity, batch.last)
        return MetricsTaken(len(batch.drafts), batch.rejected)

    async def _look_at_clock(self, identity: AgentIdentity, last: Sample | None) -> None:
        if last is not None and self.clocks.is_due(identity):
            await self.clocks.measure(identity, last)

    async def _append(self, identity: AgentIdentity, drafts: Sequence[Draft]) -> None:
        started_s = time.perf_counter()
        result = await self._changes.append(
            Operation(
                topic=identity.metrics,
                drafts=tuple(drafts),
                actor="agents",
                parent=identity.servers,
                deadlines=(Deadline("touch", identity.deadline, self._presence.offline_after_ms),),
            )
        )
        waited_s = time.perf_counter() - started_s
        if result.failures:
            _look_at_failures(result)
        if result.absent:
            await self._presence.note_beat(identity)
        self._beacon.heard = True
        counts.TALLY.note(len(drafts), waited_s)


def _counted(read: Callable[[], Batch]) -> Batch:
    try:
        batch = read()
    except TooManySamples as error:
        raise HttpError(413, error.code, str(error)) from error
    except (Rejected, Malformed) as error:
        counts.REJECTED.labels(error.code).inc()
        raise
    if batch.skewed:
        counts.SKEWED.inc(batch.skewed)
    if batch.with_unknown_fields:
        counts.UNKNOWN_FIELDS.inc(batch.with_unknown_fields)
    for bad in batch.rejected:
        counts.REJECTED.labels(bad.code).inc()
    return batch


def _look_at_failures(result: Appended) -> None:
    """Count repetitions; raises NotFound when the server has no record for its samples to belong to."""
    for failure in result.failures.values():
        if failure.code == "orphan":
            raise NotFound("there is no record of this server; a handshake makes one", code="unknown_server")
        counts.DUPLICATES.inc()
