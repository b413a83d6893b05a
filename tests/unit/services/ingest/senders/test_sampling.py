"""Samples of scrapes: what is said of a machine is true, and what is sent again is the same."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.samples import batch_of
from services.ingest.senders.readings import Quantity, Reading, scrapes
from services.ingest.senders.sampling import identified, measured
from shared.names import is_id
from shared.resources.metrics import Sample

S = 1_000_000_000
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KINDS: dict[Quantity, tuple[str, ...]] = {
    "load1": ("",),
    "load5": ("",),
    "cpu_time": ("idle", "busy"),
    "cpu_share": ("idle", "busy"),
    "memory": ("used", "rest", "total", "free"),
    "filesystem": ("used", "rest", "total", "free"),
    "disk_io": ("read", "write"),
    "network_io": ("rx", "tx"),
    "tcp": ("",),
    "uptime": ("",),
    "boot_time": ("",),
}


def reading(quantity: Quantity, kind: str, value: float, at_s: int = 1_700_000_000, part: str = "") -> Reading:
    name = f"{quantity}/{kind}/{part}"
    return Reading(quantity=quantity, part=part, kind=kind, series=name, value=value, at_ns=at_s * S)


def samples_of(readings: Iterable[Reading]) -> list[Sample]:
    return identified([sample for sample in measured(scrapes(readings)) if sample is not None])


def only(*readings: Reading) -> Sample:
    (sample,) = samples_of(readings)
    return sample


def test_storage_is_what_is_used_and_how_much_there_is() -> None:
    assert (6, 10) == _memory(reading("memory", "used", 6), reading("memory", "rest", 4))
    assert (6, 10) == _memory(reading("memory", "total", 10), reading("memory", "free", 4))
    assert (6, 12) == _memory(
        reading("memory", "used", 6), reading("memory", "rest", 4), reading("memory", "total", 12)
    )
    assert (None, 10) == _memory(reading("memory", "total", 10))
    assert (6, None) == _memory(reading("memory", "used", 6))


def _memory(*readings: Reading) -> tuple[int | None, int | None]:
    sample = only(*readings)
    return sample.mem_used, sample.mem_total


def test_file_system_of_which_only_one_value_is_known_is_not_added_up() -> None:
    whole = [reading("filesystem", "total", 10, part="a"), reading("filesystem", "free", 4, part="a")]
    sample = only(*whole, reading("filesystem", "total", 100, part="b"))
    assert (6, 10) == (sample.disk_used, sample.disk_total)


def test_uptime_is_counted_from_when_the_machine_came_up() -> None:
    assert 100.5 == only(reading("boot_time", "", 1_700_000_000 - 100.5)).uptime_s


def test_share_of_all_cores_is_told_by_what_they_did_not_do() -> None:
    idle = [reading("cpu_share", "idle", share, part=core) for core, share in (("0", 0.5), ("1", 0.9))]
    assert 30.0 == only(*idle, reading("cpu_share", "busy", 0.2, part="0")).cpu_percent
    assert 20.0 == only(reading("cpu_share", "busy", 0.2, part="0")).cpu_percent


def test_same_readings_have_the_same_identity_and_others_another() -> None:
    readings = [reading("load1", "", 1.0, at_s) for at_s in (1_700_000_000, 1_700_000_060)]
    first, again = samples_of(readings), samples_of(reversed(readings))
    assert first == again
    assert [1, 2] == [sample.seq for sample in first]
    assert 1 == len({sample.boot_id for sample in first})
    assert is_id(first[0].boot_id)
    others = samples_of([*readings, reading("load1", "", 1.0, 1_700_000_120)])
    assert first[0].boot_id != others[0].boot_id


def test_device_whose_counter_began_anew_takes_nothing_from_the_rate_of_others() -> None:
    counts = {1_700_000_000: {"eth0": 100.0, "eth1": 900.0}, 1_700_000_010: {"eth0": 200.0, "eth1": 50.0}}
    readings = [
        reading("network_io", "rx", count, at_s, device)
        for at_s, each in counts.items()
        for device, count in each.items()
    ]
    assert [(None, 1000), (10.0, 250)] == [(sample.net_rx_rate, sample.net_rx_total) for sample in samples_of(readings)]


def test_readings_that_say_nothing_by_themselves_make_no_sample() -> None:
    assert [] == samples_of([reading("disk_io", "read", 5.0), reading("cpu_time", "busy", 5.0)])


anything = st.builds(
    lambda quantity_kind, value, at_s, part, since, is_delta: msgspec.structs.replace(
        reading(quantity_kind[0], quantity_kind[1], value, at_s, part), since_ns=since, is_delta=is_delta
    ),
    st.sampled_from([(quantity, kind) for quantity, kinds in KINDS.items() for kind in kinds]),
    st.floats(allow_nan=False),
    st.integers(1, 18_000_000_000),
    st.sampled_from(["", "a", "b"]),
    st.integers(0, 2**64 - 1),
    st.booleans(),
)


@given(st.lists(anything, max_size=30))
def test_whatever_was_read_the_samples_are_such_as_an_agent_may_send(readings: list[Reading]) -> None:
    samples = samples_of(readings)
    batch = batch_of(samples, "s_1", NOW)
    assert ([], len(samples)) == (batch.rejected, len(batch.drafts))
    for draft in batch.drafts:
        msgspec.json.decode(draft.data, type=Sample)  # within all bounds


@pytest.mark.parametrize(("tcp", "load5"), [(2.0**53, 1e15 + 1), (-0.5, -0.1), (float("inf"), float("inf"))])
def test_value_beyond_what_is_declared_is_left_out(tcp: float, load5: float) -> None:
    sample = only(reading("tcp", "", tcp), reading("load5", "", load5), reading("load1", "", 1e15))
    assert (None, None, 1e15) == (sample.tcp_connections, sample.load5, sample.load1)
