"""What a sample holds."""

from __future__ import annotations

import json
from collections.abc import Mapping

from muster_agent.buffer import Sample
from muster_agent.collectors.base import CollectorGroup, Reading
from muster_agent.sampler import LARGEST_SAMPLE_BYTES, Sampler, rfc3339


class Counting:
    """A collector that shows how often, and when, it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    def collect(self, now_s: float) -> Mapping[str, object]:
        self.asked_s.append(now_s)
        return {"asked": len(self.asked_s)}


def sampler(collector: Counting) -> Sampler:
    return Sampler(CollectorGroup([collector]), "boot-1", wall_clock=lambda: 1_767_225_600.5, monotonic=lambda: 42.0)


def test_a_sample_says_when_it_was_taken_and_by_which_process() -> None:
    collector = Counting()
    expected = {"ts": "2026-01-01T00:00:00.500Z", "boot_id": "boot-1", "seq": 1, "asked": 1}
    assert expected == sampler(collector).fields()
    assert [42.0] == collector.asked_s


def test_samples_are_numbered_without_a_gap() -> None:
    taking = sampler(Counting())
    assert [1, 2, 3] == [taking.sample().seq for _ in range(3)]


def test_warming_up_reads_the_counters_but_uses_no_number() -> None:
    collector = Counting()
    taking = sampler(collector)
    taking.warm_up()
    sample = taking.sample()
    assert 1 == sample.seq
    assert {"seq": 1, "asked": 2}.items() <= json.loads(sample.encoded).items()


def test_a_sample_of_a_machine_that_is_odd_in_every_way_loses_its_largest_lists() -> None:
    names = [chr(0x4E00) * 200] * 32
    odd = Reading("odd", lambda: {"load1": 1.0, "few": names[:5], **{f"many{n}": names for n in range(4)}})
    taking = Sampler(CollectorGroup([odd]), "boot-1")
    sample = taking.sample()
    assert len(sample.encoded) <= LARGEST_SAMPLE_BYTES
    assert {"ts", "boot_id", "seq", "load1", "few", "many3"} == json.loads(sample.encoded).keys()


def test_a_clock_that_is_set_changes_the_times_written_and_nothing_else() -> None:
    clocks = iter([1_767_225_600.5, 1_767_222_000.5, 1_767_229_200.5])
    collector = Counting()
    monotonic = iter([10.0, 15.0, 20.0])
    taking = Sampler(CollectorGroup([collector]), "boot-1", lambda: next(clocks), lambda: next(monotonic))
    taken = [taking.fields() for _ in range(3)]
    assert ["00:00:00", "23:00:00", "01:00:00"] == [str(fields["ts"])[11:19] for fields in taken]
    assert [1, 2, 3] == [fields["seq"] for fields in taken]
    assert [10.0, 15.0, 20.0] == collector.asked_s


class Watching:
    """Takes samples under an interval that the server lengthens at once, and stops after two."""

    interval_s = 5.0

    def __init__(self) -> None:
        self.now_s = 100.0
        self.taken_s: list[float] = []

    @property
    def stopping(self) -> bool:
        return len(self.taken_s) >= 2

    def add(self, sample: Sample) -> int:
        assert len(self.taken_s) + 1 == sample.seq
        self.taken_s.append(self.now_s)
        return 0

    def wait_until(self, instant_s: float, interval_s: float) -> bool:
        if interval_s != 600.0:
            self.interval_s = 600.0
            return False
        self.now_s = instant_s
        return True


def test_the_first_sample_does_not_wait_for_an_interval_that_has_become_longer() -> None:
    outlet = Watching()
    Sampler(CollectorGroup([]), "boot-1", monotonic=lambda: outlet.now_s).run(outlet)
    assert [101.0, 701.0] == outlet.taken_s


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert "1970-01-01T00:00:00.000Z" == rfc3339(0.0)
    assert "2026-01-01T00:00:00.999Z" == rfc3339(1_767_225_600.9999)
