"""What a sender's request may cost: no more is made of it than is taken, and others have their turn meanwhile."""

from collections.abc import Sequence
from typing import cast

import pytest

from services.ingest.credentials import AgentIdentity
from services.ingest.intake import Intake
from services.ingest.items import MAX_SAMPLES
from services.ingest.messages import MetricsTaken
from services.ingest.senders.readings import Quantity, Reading
from services.ingest.senders.sender_intake import SenderIntake
from shared.resources.metrics import Sample
from tests.support.turns import turns_during

IDENTITY = AgentIdentity.of("a_1", "s_1", "w_1")
FIRST_S = 1_700_000_000


class Taking:
    """Stands in for the intake, and keeps what it was given."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    async def take_decoded(self, identity: AgentIdentity, samples: Sequence[Sample]) -> MetricsTaken:
        assert IDENTITY == identity
        self.samples += samples
        return MetricsTaken(len(samples), [])


def readings(count: int, quantity: Quantity = "load1") -> list[Reading]:
    return [
        Reading(quantity=quantity, part="", kind="read", series="one", value=1.0, at_ns=(FIRST_S + 2 * n) * 10**9)
        for n in range(count)
    ]


async def take(given: list[Reading]) -> tuple[list[Sample], int]:
    """Return what was taken, and how often others had their turn."""
    taking = Taking()
    work = SenderIntake(cast("Intake", taking)).take(IDENTITY, iter(given), lambda: {"web-1"})
    turns = await turns_during(work)
    return taking.samples, turns


async def test_no_more_samples_are_made_than_show_that_they_are_too_many() -> None:
    samples, _ = await take(readings(59_000))
    assert MAX_SAMPLES + 1 == len(samples)


async def test_as_many_as_are_taken_are_made() -> None:
    samples, _ = await take(readings(MAX_SAMPLES))
    assert [*range(1, MAX_SAMPLES + 1)] == [sample.seq for sample in samples]


@pytest.mark.parametrize("quantity", ["load1", "disk_io"])
async def test_others_have_their_turn_while_samples_are_made(quantity: Quantity) -> None:
    _, at_rest = await take([])
    count = MAX_SAMPLES
    _, turns = await take(readings(count, quantity))
    # so many turns come of reading alone
    assert turns - at_rest > count // 500
