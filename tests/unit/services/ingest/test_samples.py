"""What a body of metrics holds: good samples in canonical form, and what is wrong with the others."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.items import MAX_SAMPLES, TooManySamples
from services.ingest.samples import MAX_SAMPLE_BYTES, Batch, read_batch
from shared.errors import Malformed, Rejected
from tests.support.work import work_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TS = "2026-01-02T03:04:05Z"
GOOD_TS = b'"ts":"%b"' % TS.encode()
B1, B2 = ({"boot_id": "b", "seq": seq} for seq in (1, 2))


def read(body: object) -> Batch:
    return read_batch(body if isinstance(body, bytes) else msgspec.json.encode(body), "s_1", NOW)


def stored(batch: Batch) -> list[Any]:
    return [msgspec.json.decode(draft.data) for draft in batch.drafts]


def test_one_sample_is_put_as_the_servers_latest() -> None:
    batch = read({"ts": TS, "boot_id": "b", "seq": 7, "load1": 0.5})
    (draft,) = batch.drafts
    assert ("s_1", "put", ("b", 7)) == (draft.id, draft.action, draft.sample)
    assert [{"ts": TS, "boot_id": "b", "seq": 7, "load1": 0.5}] == stored(batch)


@pytest.mark.parametrize("identity", [{}, {"boot_id": "b"}, {"seq": 5}, {"boot_id": "b", "seq": 0}])
def test_sample_without_a_whole_identity_is_not_told_apart(identity: dict[str, object]) -> None:
    (draft,) = read({"ts": TS, "load1": 1, **identity}).drafts
    assert ("", 0) == draft.sample


def test_what_is_stored_is_canonical() -> None:
    body = b' {"x": [1, {"y": 2}], "cpu_percent": 5e0, "ts": "2026-01-02T05:04:05.5+02:00", "load1": null} '
    batch = read(body)
    assert [b'{"ts":"2026-01-02T03:04:05.500000Z","cpu_percent":5.0}'] == [draft.data for draft in batch.drafts]
    assert 1 == batch.with_unknown_fields


def test_what_is_not_known_of_an_entry_is_left_out() -> None:
    (sample,) = stored(read({"ts": TS, "disks": [{"device": "/dev/sda1", "used": 5, "colour": [1]}]}))
    assert [{"device": "/dev/sda1", "used": 5}] == sample["disks"]


def test_that_there_are_none_is_kept() -> None:
    (sample,) = stored(read({"ts": TS, "load1": 1, "failed_units": []}))
    assert [] == sample["failed_units"]


def test_time_far_in_the_future_becomes_ours_and_is_counted() -> None:
    just_ahead, too_far = NOW + timedelta(minutes=5), NOW + timedelta(minutes=5, microseconds=1)
    batch = read([{"ts": just_ahead, "load1": 1}, {"ts": too_far, "load1": 2}])
    assert [just_ahead, NOW] == [datetime.fromisoformat(sample["ts"]) for sample in stored(batch)]
    assert 1 == batch.skewed


def test_time_outside_of_the_calendar_is_rejected() -> None:
    with pytest.raises(Rejected, match="calendar") as raised:
        read({"ts": "0001-01-01T00:00:00+14:00", "load1": 1})
    assert "ts" == raised.value.field


@pytest.mark.parametrize("measured", [{"load1": 0}, {"processes": 0}, {"temperatures": {"cpu": 50}}, {"disks": [{}]}])
def test_one_measurement_is_enough(measured: dict[str, object]) -> None:
    assert 1 == len(read({"ts": TS, **measured}).drafts)


@pytest.mark.parametrize(
    "measured", [{}, {"load1": None}, {"temperatures": {}}, {"gpus": []}, {"boot_id": "b", "seq": 1}]
)
def test_sample_that_measures_nothing_is_rejected(measured: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="at least one measurement"):
        read({"ts": TS, **measured})


def test_bad_ones_of_an_array_are_told_by_their_place() -> None:
    batch = read([{"ts": TS, "load1": 1}, {"ts": TS, "load1": -1}, {"ts": TS}, 5, {"ts": TS, "load1": 2}])
    assert [1, 2] == [sample["load1"] for sample in stored(batch)]
    assert [1, 2, 3] == [bad.index for bad in batch.rejected]
    assert "load1: Expected `float` >= 0.0" == batch.rejected[0].message


def test_unreadable_one_of_an_array_spoils_no_other() -> None:
    batch = read(b'[{"ts":"%b","load1":1},{"ts":"\xff","load1":1}]' % TS.encode())
    assert 1 == len(batch.drafts)
    assert [1] == [bad.index for bad in batch.rejected]


def test_array_is_put_in_the_order_of_seq_for_each_boot() -> None:
    order = [("b", 2), ("a", 9), ("b", 1), ("a", 8), ("b", 3)]
    batch = read([{"ts": TS, "load1": 1, "boot_id": boot, "seq": seq} for boot, seq in order])
    assert [("b", 1), ("b", 2), ("b", 3), ("a", 8), ("a", 9)] == [draft.sample for draft in batch.drafts]


def test_samples_without_an_identity_stay_in_their_order() -> None:
    batch = read([{"ts": TS, "load1": load, **identity} for load, identity in enumerate([{}, B2, {}, B1, {}])])
    assert [0, 2, 4] == [sample["load1"] for sample in stored(batch) if "seq" not in sample]
    assert [1, 2] == [sample["seq"] for sample in stored(batch) if "seq" in sample]


def test_array_in_order_is_left_as_it_is() -> None:
    order = [("a", 1), ("a", 2), ("a", 5), ("b", 1), ("b", 3)]
    batch = read([{"ts": TS, "load1": 1, "boot_id": boot, "seq": seq} for boot, seq in order])
    assert order == [draft.sample for draft in batch.drafts]


def test_sample_that_is_too_large_to_keep_is_told_alone() -> None:
    entries = [{"name": "\N{GRINNING FACE}" * 200, "image": "x" * 200} for _ in range(64)]
    large = {"ts": TS, "containers": entries, "interfaces": entries[:4]}
    batch = read([large, {"ts": TS, "containers": entries}, {"ts": TS, "load1": 1}])
    assert [(0, "too_large_sample")] == [(bad.index, bad.code) for bad in batch.rejected]
    assert 2 == len(batch.drafts)
    assert MAX_SAMPLE_BYTES > len(batch.drafts[0].data) > 64_000
    with pytest.raises(Rejected, match="66,560"):
        read(large)


def test_longer_arrays_are_refused_as_a_whole() -> None:
    good = {"ts": TS, "load1": 1}
    assert MAX_SAMPLES == len(read([good] * MAX_SAMPLES).drafts)
    for bad in (good, 5):
        with pytest.raises(TooManySamples):
            read([*[good] * MAX_SAMPLES, bad])


def test_sample_that_is_wrong_and_then_breaks_off_is_no_json() -> None:
    with pytest.raises(Malformed):
        read(b'{"ts":5,"load1":')


@pytest.mark.parametrize("junk", [b"1,", b"[],", b'{"a":1},'])
@pytest.mark.parametrize(
    "fields", [b'"ts":5', b'"ts":"%b","seq":1.5' % TS.encode(), b'"ts":"%b","load1":1' % TS.encode()]
)
def test_fields_that_are_not_known_cost_no_more_than_to_read_over_them(fields: bytes, junk: bytes) -> None:
    body = b"{" + fields + b',"x":[' + (1_000_000 // len(junk)) * junk + b"5]}"
    work_of(lambda: read(b"{" + fields + b"}"), Rejected)  # what is made once for the type
    work = work_of(lambda: read(body), Rejected)
    assert work.calls < 100
    assert work.peak_bytes < 100_000


def test_many_names_that_are_not_known_are_not_kept() -> None:
    names = b",".join(b'"name%d":1' % number for number in range(60_000))
    body = b'{"ts":"%b","load1":1,%b}' % (TS.encode(), names)
    work = work_of(lambda: read(body))
    assert work.calls < 100
    assert work.peak_bytes < 100_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
fields = st.dictionaries(
    st.sampled_from(["ts", "boot_id", "seq", "load1", "mem_used", "disks", "temperatures"]), json_values
)


@given(st.lists(fields | json_values, max_size=20))
def test_every_sample_of_an_array_is_taken_or_rejected(samples: list[Any]) -> None:
    batch = read(samples)
    assert len(samples) == len(batch.drafts) + len({bad.index for bad in batch.rejected})


@given(st.binary() | json_values.map(msgspec.json.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Malformed, Rejected, TooManySamples):
        read(body)
