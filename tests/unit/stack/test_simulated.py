"""The machines of the demo fleet."""

from __future__ import annotations

import itertools
import json

import pytest

from stack.simulated import SimulatedMachine

NOW = 1_760_000_000.0
SHARES = ("mem_used", "mem_total"), ("swap_used", "swap_total"), ("disk_used", "disk_total")


def test_a_machine_is_the_same_one_after_a_restart() -> None:
    first, again = SimulatedMachine(7, NOW), SimulatedMachine(7, NOW + 1000)
    assert (first.name, first.machine_id, first.facts()) == (again.name, again.machine_id, again.facts())


def test_no_two_machines_are_the_same() -> None:
    fleet = [SimulatedMachine(number, NOW) for number in range(200)]
    assert len({machine.name for machine in fleet}) == 200
    assert len({machine.machine_id for machine in fleet}) == 200
    assert fleet[0].name == "demo-web-01"


@pytest.mark.parametrize("number", range(5))
def test_a_day_of_measurements_is_believable(number: int) -> None:
    machine = SimulatedMachine(number, NOW)
    samples = [machine.measure(NOW + step * 60) for step in range(1, 24 * 60)]
    assert all(0 <= sample["cpu_percent"] <= 100 for sample in samples)
    for used, total in SHARES:
        assert all(0 <= sample[used] <= sample[total] for sample in samples)
    for before, after in itertools.pairwise(samples):
        assert after["net_rx_total"] > before["net_rx_total"]
        assert after["net_tx_total"] > before["net_tx_total"]
        assert after["uptime_s"] - before["uptime_s"] in {59, 60, 61}
    assert len({sample["cpu_percent"] for sample in samples}) > 100
    assert len({json.dumps(sample) for sample in samples}) == len(samples)


def test_a_sample_says_when_it_was_taken() -> None:
    assert SimulatedMachine(1, NOW).measure(NOW + 0.5)["ts"] == "2025-10-09T08:53:20.500Z"
