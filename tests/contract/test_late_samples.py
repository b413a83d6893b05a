"""Samples of a server: each is taken in once, and only what is the latest becomes its record."""

import asyncio
import json
from collections.abc import Sequence

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from shared.change import ChangeSet
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.names import PartitionKeys, Topic, partition_of
from shared.operation import Appended, Draft, Operation, Start
from shared.position import Position
from tests.support.log import open_log

METRICS = Topic("w_test", "metrics")
PARTITION = partition_of("w_test")
SAMPLES_KEY = PartitionKeys(PARTITION).prefix + "samples"

Name = tuple[str, int]


def sample(boot: str, seq: int, minute: int = 0) -> Draft:
    data = json.dumps({"ts": f"2026-01-01T00:{minute:02}:00Z", "boot_id": boot, "seq": seq}).encode()
    return Draft(id="s_1", action="put", data=data, sample=(boot, seq))


def samples(*drafts: Draft) -> Operation:
    return Operation(topic=METRICS, drafts=drafts, actor="agents")


def handshake(boot: str) -> Operation:
    return Operation(topic=METRICS, drafts=(), actor="agents", id=f"hello-{boot}", start=Start(METRICS, "s_1", boot))


async def entries(redis: Redis) -> list[ChangeSet]:
    answer = await LogReader(redis).entries({PARTITION: Position(0, 0)}, block_ms=None)
    return [entry for entry in answer.get(PARTITION, []) if isinstance(entry, ChangeSet)]


async def record(redis: Redis) -> Name:
    """Return whose sample the record is; of nobody while there is none."""
    found = await LogReader(redis).records(METRICS, ["s_1"])
    if not found:
        return "", 0
    data = json.loads(found["s_1"].data)
    return data["boot_id"], data["seq"]


async def window(redis: Redis) -> str:
    value: bytes = await redis.hget(SAMPLES_KEY, f"{METRICS}:s_1")  # type: ignore[misc]  # redis-py types it for both of its clients
    return value.decode()


def late_names(found: Sequence[ChangeSet]) -> list[Name]:
    said = [json.loads(bytes(change.data or b"")) for entry in found for change in entry.late]
    return [(data["boot_id"], data["seq"]) for data in said]


async def test_sample_after_a_later_one_goes_into_history_alone(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 1), sample("a", 9)))
    result = await changes.append(samples(sample("a", 5), sample("a", 6), sample("a", 5)))
    assert [2] == list(result.failures)
    assert (2, 2) == (result.prev, result.version)
    assert ("a", 9) == await record(open_redis_log)
    assert [("a", 5), ("a", 6)] == late_names(await entries(open_redis_log))
    assert "a 1-1,5-6,9-9" == await window(open_redis_log)


async def test_entry_says_which_samples_were_taken_in(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 1)))
    await changes.append(samples(sample("a", 3)))
    await changes.append(samples(sample("a", 2)))
    found = await entries(open_redis_log)
    assert ["a 1-1", "a 1-1,3-3", "a 1-3"] == [entry.windows["s_1"] for entry in found]
    assert [(0, 1), (1, 2), (2, 2)] == [(entry.prev, entry.version) for entry in found]


async def test_late_samples_and_the_latest_share_an_entry(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 5)))
    result = await changes.append(samples(sample("a", 2), sample("a", 6), sample("a", 3)))
    assert (1, 2) == (result.prev, result.version)
    *_, last = await entries(open_redis_log)
    assert ([6], [2, 3]) == (
        [json.loads(bytes(c.data or b""))["seq"] for c in last.changes],
        [json.loads(bytes(c.data or b""))["seq"] for c in last.late],
    )


async def test_samples_of_a_start_before_the_one_that_shook_hands_are_late(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("old", 1, minute=30)))
    await changes.append(handshake("new"))
    await changes.append(samples(sample("new", 1, minute=10)))
    await changes.append(samples(sample("old", 2, minute=5)))
    assert ("new", 1) == await record(open_redis_log)
    assert "!new 1-1;old 1-2" == await window(open_redis_log)


async def test_clock_that_steps_back_keeps_the_latest_sample_the_latest(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 1, minute=30)))
    await changes.append(samples(sample("a", 2, minute=1)))
    assert ("a", 2) == await record(open_redis_log)
    await changes.append(handshake("b"))
    await changes.append(samples(sample("b", 1, minute=0)))
    assert ("b", 1) == await record(open_redis_log)
    assert [] == late_names(await entries(open_redis_log))


async def test_start_that_nobody_announced_is_late_by_its_clock(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 1, minute=30)))
    await changes.append(samples(sample("b", 1, minute=29)))
    assert ("a", 1) == await record(open_redis_log)
    await changes.append(samples(sample("c", 1, minute=31)))
    assert ("c", 1) == await record(open_redis_log)
    # the one that leads now goes on by its numbers
    await changes.append(samples(sample("c", 2, minute=1)))
    assert ("c", 2) == await record(open_redis_log)


async def test_start_that_shook_hands_takes_the_lead_back(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(handshake("a"))
    await changes.append(samples(sample("a", 1, minute=10)))
    await changes.append(samples(sample("lost", 1, minute=59)))
    await changes.append(samples(sample("a", 2, minute=11)))
    assert ("a", 2) == await record(open_redis_log)


async def test_sample_without_a_name_is_late_by_its_clock(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)

    def unnamed(minute: int) -> Operation:
        data = json.dumps({"ts": f"2026-01-01T00:{minute:02}:00Z", "boot_id": "", "seq": minute}).encode()
        return samples(Draft(id="s_1", action="put", data=data, sample=("", 0)))

    for minute in (10, 5, 10, 11):
        await changes.append(unnamed(minute))
    assert ("", 11) == await record(open_redis_log)
    assert [("", 5)] == late_names(await entries(open_redis_log))


async def test_memory_of_a_server_is_bounded_and_gives_the_lowest_holes_up(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(*(sample("a", seq) for seq in range(2, 202, 2))))
    assert 32 == (await window(open_redis_log)).count("-")
    given_up = await changes.append(samples(sample("a", 3)))
    kept = await changes.append(samples(sample("a", 199)))
    assert ["duplicate"] == [failure.code for failure in given_up.failures.values()]
    assert {} == kept.failures
    for number in range(20):
        await changes.append(samples(sample(f"b{number}", 1, minute=number)))
    assert 8 == len((await window(open_redis_log)).split(";"))


async def test_backfill_that_was_thinned_out_is_taken_in_whole(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(samples(sample("a", 1)))
    await changes.append(samples(sample("a", 1001)))
    missed = list(range(2, 1001, 3))
    for first in range(0, len(missed), 50):
        result = await changes.append(samples(*(sample("a", seq) for seq in missed[first : first + 50])))
        assert {} == result.failures
    again = await changes.append(samples(*(sample("a", seq) for seq in missed)))
    assert len(missed) == len(again.failures)
    assert ("a", 1001) == await record(open_redis_log)


sends = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(1, 12), st.integers(0, 59)),
        st.sampled_from("abc"),
    ),
    max_size=40,
)


@given(sends)
@settings(max_examples=150, deadline=None)
def test_every_sample_is_taken_in_once_in_whatever_order(sent: list[tuple[str, int, int] | str]) -> None:
    asyncio.run(_send_and_check(sent))


async def _send_and_check(sent: list[tuple[str, int, int] | str]) -> None:
    redis: Redis = fakeredis.FakeAsyncRedis(version=(7,))
    await open_log(redis)
    changes, model = ChangeLog(redis), _Model()
    for number, step in enumerate(sent):
        if isinstance(step, str):
            hello = Operation(topic=METRICS, drafts=(), actor="t", id=f"o{number}", start=Start(METRICS, "s_1", step))
            await changes.append(hello)
            model.begin(step)
            continue
        boot, seq, minute = step
        expected = model.take(boot, seq, minute)
        result = await changes.append(samples(sample(boot, seq, minute)))
        assert expected == _outcome(result)
        assert model.record == await record(redis)
    await redis.aclose()


def _outcome(result: Appended) -> str:
    if result.failures:
        return "duplicate"
    return "latest" if result.version > result.prev else "late"


class _Model:
    """The rules again, over sets."""

    def __init__(self) -> None:
        self.record: Name = ("", 0)
        self._taken: dict[str, set[int]] = {}
        self._begun = ""
        self._over: set[str] = set()
        self._last = ""
        self._minute = -1

    def begin(self, boot: str) -> None:
        self._over = (self._over | {self._begun}) - {boot}
        self._begun = boot
        self._taken.setdefault(boot, set())

    def take(self, boot: str, seq: int, minute: int) -> str:
        taken = self._taken.setdefault(boot, set())
        if seq in taken:
            return "duplicate"
        is_late = bool(taken) and seq < max(taken)
        lead = self._begun or self._last
        if not is_late and lead not in {"", boot}:
            is_late = boot in self._over or minute < self._minute
        taken.add(seq)
        if is_late:
            return "late"
        self._last, self._minute, self.record = boot, minute, (boot, seq)
        return "latest"


async def test_samples_of_an_earlier_start_are_late_whatever_its_clock_said(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(handshake("a"))
    await changes.append(samples(sample("a", 1, minute=30)))
    await changes.append(handshake("b"))  # restarted with its clock put right
    await changes.append(samples(sample("b", 1, minute=10)))
    await changes.append(samples(sample("a", 2, minute=31), sample("b", 2, minute=11)))
    assert ("b", 2) == await record(open_redis_log)
    assert [("a", 2)] == late_names(await entries(open_redis_log))
    assert "!b 1-2;~a 1-2" == await window(open_redis_log)
    await changes.append(handshake("a"))
    await changes.append(samples(sample("a", 3, minute=9)))
    assert ("a", 3) == await record(open_redis_log)


async def test_samples_of_who_never_shook_hands_are_told_apart_by_their_time(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(handshake("a"))
    await changes.append(samples(sample("a", 1, minute=10), sample("script", 1, minute=11)))
    assert ("script", 1) == await record(open_redis_log)
    await changes.append(samples(sample("script-2", 1, minute=9)))
    assert ("script", 1) == await record(open_redis_log)
