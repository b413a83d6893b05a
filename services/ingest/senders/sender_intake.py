"""Takes in what a program that knows nothing of Muster has sent: from its readings to samples in the log."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence

from services.ingest.account import Account
from services.ingest.credentials import AgentIdentity
from services.ingest.intake import Intake
from services.ingest.items import MAX_SAMPLES
from services.ingest.messages import MetricsTaken
from services.ingest.senders.readings import Reading, TooMuch, scrapes
from services.ingest.senders.sampling import identified, measured
from shared.io.problem import HttpError
from shared.resources.metrics import Sample

MAX_ENCODED_BYTES = 1_000_000
MAX_DECODED_BYTES = 2_000_000
"""How large a request may be once its encoding is undone: empty messages take up to 50 times their size in memory."""

_SLICE = 500
_SHOWN = 5
_LONGEST_SHOWN = 100


class SenderIntake:
    """One for each process, for all kinds of senders."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def take(
        self, identity: AgentIdentity, readings: Iterator[Reading], machines: Callable[[], Collection[str]]
    ) -> MetricsTaken:
        """Append the samples that readings make, those of one agent; `machines` says then what they are of.

        Raises HttpError 413 for too much, 400 for values of several machines, of which one would pass for another;
        else as Intake does.
        """
        taken: list[Reading] = []
        try:
            for reading in readings:
                taken.append(reading)
                if len(taken) % _SLICE == 0:
                    await asyncio.sleep(0)  # others have their turn
        except TooMuch as error:
            raise HttpError(413, error.code, str(error)) from error
        if len(machines()) > 1:
            shown = ", ".join(repr(each[:_LONGEST_SHOWN]) for each in sorted(machines())[:_SHOWN])
            raise HttpError(400, "several_machines", f"one agent's credential is for one machine, not for {shown}")
        samples = await _samples_of(taken)
        if not samples:
            return MetricsTaken(0, [])
        return await self._intake.take_decoded(identity, identified(samples))

    def account(self, identity: AgentIdentity) -> Account:
        """Return what keeps an agent to what it may send."""
        return self._intake.account(identity)


async def _samples_of(readings: Sequence[Reading]) -> list[Sample]:
    """Return what readings amount to, as far as the first sample that is one too many."""
    samples: list[Sample] = []
    for place, sample in enumerate(measured(scrapes(readings)), 1):
        if sample is not None:
            samples.append(sample)
        if len(samples) > MAX_SAMPLES:
            break
        if place % _SLICE == 0:
            await asyncio.sleep(0)
    return samples
