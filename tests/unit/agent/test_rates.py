"""How counters become rates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from muster_agent.rates import CounterRates, busy_percent, total_rate


def test_the_first_reading_has_no_rates() -> None:
    assert {} == CounterRates().update({"eth0": 1000}, 10.0)


def test_a_rate_is_what_was_added_per_second() -> None:
    rates = CounterRates()
    rates.update({"eth0": 1000, "eth1": 0}, 10.0)
    assert {"eth0": 500.0, "eth1": 0.0} == rates.update({"eth0": 2000, "eth1": 0}, 12.0)


def test_a_counter_that_went_back_has_no_rate_once() -> None:
    rates = CounterRates()
    rates.update({"eth0": 5000}, 10.0)
    assert {} == rates.update({"eth0": 100}, 11.0)
    assert {"eth0": 200.0} == rates.update({"eth0": 300}, 12.0)


def test_a_device_that_appears_counts_from_its_second_reading() -> None:
    rates = CounterRates()
    rates.update({"eth0": 0}, 10.0)
    assert {"eth0": 1.0} == rates.update({"eth0": 1, "usb0": 10_000_000}, 11.0)
    assert {"eth0": 1.0, "usb0": 5.0} == rates.update({"eth0": 2, "usb0": 10_000_005}, 12.0)


def test_a_device_that_disappears_takes_only_its_own_rate() -> None:
    rates = CounterRates()
    rates.update({"eth0": 0, "usb0": 9_000}, 10.0)
    assert {"eth0": 1.0} == rates.update({"eth0": 1}, 11.0)


def test_two_readings_at_one_instant_give_no_rates() -> None:
    rates = CounterRates()
    rates.update({"eth0": 0}, 10.0)
    assert {} == rates.update({"eth0": 100}, 10.0)


def test_the_total_of_no_known_rate_is_unknown() -> None:
    assert None is total_rate({})
    assert 3.5 == total_rate({"eth0": 1.0, "eth1": 2.5})


IDLE = frozenset({"idle", "iowait"})


def test_busy_is_what_was_not_spent_idle() -> None:
    before = {"user": 10.0, "system": 5.0, "idle": 100.0, "iowait": 1.0}
    after = {"user": 11.0, "system": 5.5, "idle": 107.5, "iowait": 2.0}
    assert 15.0 == busy_percent(before, after, IDLE)


def test_a_state_that_goes_back_counts_as_unchanged() -> None:
    before = {"user": 10.0, "idle": 100.0, "iowait": 5.0}
    after = {"user": 11.0, "idle": 101.0, "iowait": 4.0}
    assert 50.0 == busy_percent(before, after, IDLE)


def test_no_time_passed_means_no_share() -> None:
    assert None is busy_percent({"user": 10.0, "idle": 1.0}, {"user": 10.0, "idle": 1.0}, IDLE)


TIMES = st.dictionaries(st.sampled_from(["user", "system", "idle", "iowait"]), st.floats(0, 1e9))


@given(TIMES, TIMES)
def test_a_share_is_between_0_and_100(before: dict[str, float], after: dict[str, float]) -> None:
    percent = busy_percent(before, after, IDLE)
    assert percent is None or 0 <= percent <= 100
