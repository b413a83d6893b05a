"""What the append script promises: checks before writes, dense versions, nothing without its guardian."""

import asyncio
from typing import Literal

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.audit import Origin
from shared.change import ChangeSet, EpochOpened
from shared.errors import AlreadyExists, Conflict, LogSealed, NotFound, Overloaded
from shared.io.changelog import append as append_module
from shared.io.changelog import script as script_module
from shared.io.changelog.append import ChangeLog
from shared.io.changelog.read import LogReader
from shared.io.changelog.script import OPEN, REMEMBER, SEAL, append_script
from shared.names import PartitionKeys, Topic, new_id, partition_of
from shared.operation import CALL, Appended, Deadline, Draft, Failure, Operation
from shared.position import Position
from shared.topic import Head
from tests.support.log import open_log, open_partition, recent, seal_partition

THINGS = Topic("w_test", "things")
SAMPLES = Topic("w_test", "samples")
PARTITION = partition_of("w_test")
KEYS = PartitionKeys(PARTITION)


def draft(
    record_id: str,
    action: Literal["create", "update", "put", "delete"] = "put",
    data: bytes = b"{}",
    **more: object,
) -> Draft:
    return Draft(id=record_id, action=action, data=b"" if action == "delete" else data, **more)  # type: ignore[arg-type]  # keyword by keyword


def operation(*drafts: Draft, **more: object) -> Operation:
    return Operation(**{"topic": THINGS, "drafts": drafts, "actor": "test", **more})  # type: ignore[arg-type]  # keyword by keyword


async def entries(redis: Redis) -> list[ChangeSet]:
    answer = await LogReader(redis).entries({PARTITION: Position(0, 0)}, block_ms=None)
    return [entry for entry in answer.get(PARTITION, []) if isinstance(entry, ChangeSet)]


async def test_versions_are_dense_over_operations_and_drafts(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    first = await changes.append(operation(draft("a"), draft("b")))
    second = await changes.append(operation(draft("a", data=b'{"n":2}')))
    assert (0, 2) == (first.prev, first.version)
    assert (2, 3) == (second.prev, second.version)
    assert [Position(1, 1), Position(1, 2)] == [entry.position for entry in await entries(open_redis_log)]
    changed = [(c.id, c.action, c.version) for entry in await entries(open_redis_log) for c in entry.changes]
    assert [("a", "created", 1), ("b", "created", 2), ("a", "updated", 3)] == changed


async def test_data_travels_untouched(open_redis_log: Redis) -> None:
    data = '{"x": 1.10, "text": "ü\\u0001\\"", "big":12345678901234567890}'.encode()
    await ChangeLog(open_redis_log).append(operation(draft("a", data=data)))
    (entry,) = await entries(open_redis_log)
    (change,) = entry.changes
    assert change.data is not None
    assert data == bytes(change.data)
    assert data == (await LogReader(open_redis_log).snapshot(THINGS)).records[0].data


async def test_from_where_a_person_asked_travels_with_the_entry(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    origin, other = Origin("192.0.2.1", "r-1"), Origin("192.0.2.1", "r-2")
    await asyncio.gather(
        changes.append(operation(draft("a"), origin=origin)),
        changes.append(operation(draft("b"), origin=origin)),
        changes.append(operation(draft("c"), origin=other)),
        changes.append(operation(draft("d"))),
    )
    found = [(change.id, entry.origin) for entry in await entries(open_redis_log) for change in entry.changes]
    assert [("a", origin), ("b", origin), ("c", other), ("d", None)] == found
    *_, (_, last) = await open_redis_log.xrange(KEYS.log)
    assert b"origin" not in last


async def test_topics_of_a_workspace_count_apart(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a")))
    await changes.append(operation(draft("a"), draft("b"), topic=SAMPLES))
    assert (1, {"things": 1, "samples": 2}) == await LogReader(open_redis_log).versions("w_test")


async def test_log_without_an_epoch_accepts_nothing(redis: Redis) -> None:
    with pytest.raises(LogSealed):
        await ChangeLog(redis).append(operation(draft("a")), timeout_s=0.05)
    assert 0 == await redis.exists(KEYS.log)


async def test_log_without_the_script_accepts_nothing(open_redis_log: Redis) -> None:
    await open_redis_log.script_flush()
    with pytest.raises(LogSealed):
        await ChangeLog(open_redis_log).append(operation(draft("a")), timeout_s=0.05)
    assert [] == await entries(open_redis_log)


async def test_script_of_another_epoch_or_partition_accepts_nothing(open_redis_log: Redis) -> None:
    for partition, epoch in ((PARTITION, 2), ((PARTITION + 1) % 8, 2)):
        text, sha = append_script(partition, epoch)
        await open_redis_log.script_load(text)
        with pytest.raises(ResponseError, match="SEALED"):
            await open_redis_log.evalsha(sha, 0, "0")  # type: ignore[misc]  # redis-py types it for both of its clients


async def test_producer_waits_for_the_log_to_open(redis: Redis) -> None:
    appending = asyncio.create_task(ChangeLog(redis).append(operation(draft("a"))))
    await asyncio.sleep(0)
    await open_log(redis, epoch=4)
    assert Position(4, 1) == (await appending).position


async def test_producer_follows_to_a_new_epoch(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a")))
    await open_log(open_redis_log, epoch=2)
    assert Position(2, 1) == (await changes.append(operation(draft("a")))).position


async def test_epoch_cannot_be_opened_by_a_guardian_that_was_overtaken(redis: Redis) -> None:
    await open_log(redis, epoch=3)
    assert 0 == await redis.eval(OPEN, 1, KEYS.prefix, "3", "3")  # type: ignore[misc]  # redis-py types it for both of its clients
    assert b"3" == await redis.get(KEYS.epoch)


async def test_opening_an_epoch_says_so_in_the_log_and_drops_the_old_state(open_redis_log: Redis) -> None:
    await ChangeLog(open_redis_log).append(operation(draft("a")))
    await open_log(open_redis_log, epoch=2)
    after = await LogReader(open_redis_log).entries({PARTITION: Position(1, 1)}, block_ms=None)
    assert [EpochOpened(Position(2, 0))] == after[PARTITION]
    assert () == (await LogReader(open_redis_log).snapshot(THINGS)).records


async def test_an_epoch_remembers_the_versions_with_which_it_began(open_redis_log: Redis) -> None:
    reader = LogReader(open_redis_log)
    assert Head(epoch=1, began=0, version=0) == await reader.head(THINGS)
    await ChangeLog(open_redis_log).append(operation(draft("a"), draft("b")))
    assert Head(epoch=1, began=0, version=2) == await reader.head(THINGS)
    await seal_partition(open_redis_log, PARTITION, 2)
    with pytest.raises(LogSealed):
        await reader.head(THINGS)
    await open_partition(open_redis_log, PARTITION, 2, {THINGS: (1, {"a": b"1 {}"})})
    await ChangeLog(open_redis_log).append(operation(draft("a")))
    assert Head(epoch=2, began=1, version=2) == await reader.head(THINGS)
    await open_log(open_redis_log, epoch=3)
    assert Head(epoch=3, began=0, version=0) == await reader.head(THINGS)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (draft("a", "create"), AlreadyExists),
        (draft("x", "update"), NotFound),
        (draft("x", "delete"), NotFound),
        (draft("a", "update", expect=2), Conflict),
        (draft("x", "put", expect=1), NotFound),
    ],
)
async def test_refused_operation_leaves_nothing_behind(
    open_redis_log: Redis, refused: Draft, error: type[Exception]
) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a")))
    before = await LogReader(open_redis_log).snapshot(THINGS)
    with pytest.raises(error) as raised:
        await changes.append(operation(draft("b"), refused, id="op-1"))
    assert 1 == raised.value.index  # type: ignore[attr-defined]  # every one of them is a Rejected
    assert before == await LogReader(open_redis_log).snapshot(THINGS)
    assert 1 == len(await entries(open_redis_log))


async def test_drafts_see_what_the_ones_before_them_did(open_redis_log: Redis) -> None:
    result = await ChangeLog(open_redis_log).append(
        operation(
            draft("a", "create"), draft("a", "update", expect=1), draft("a", "delete"), draft("a", "create"), id="o"
        )
    )
    assert 4 == result.version
    actions = [change.action for change in (await entries(open_redis_log))[0].changes]
    assert ["created", "updated", "deleted", "created"] == actions


async def test_operation_happens_once(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    first = await changes.append(operation(draft("a", "create"), id="op-1"))
    again = await changes.append(operation(draft("a", "create"), id="op-1"))
    assert (first.position, first.prev, first.version, True) == (
        again.position,
        again.prev,
        again.version,
        again.repeated,
    )
    assert 1 == len(await entries(open_redis_log))


async def test_operation_that_only_its_call_repeats_is_remembered_for_minutes(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    for operation_id, memory_s in ((new_id(CALL), 120), ("from-a-person", 86_400)):
        await changes.append(operation(draft("a"), id=operation_id))
        assert (await changes.append(operation(draft("a"), id=operation_id))).repeated
        assert memory_s - 60 < await open_redis_log.ttl(KEYS.operation(operation_id)) <= memory_s


async def test_operations_of_one_call_succeed_or_fail_alone(open_redis_log: Redis) -> None:
    first, second, third = await ChangeLog(open_redis_log).append_all(
        [
            operation(draft("a", "create"), id="1"),
            operation(draft("a", "create"), id="2"),
            operation(draft("a", "update", expect=1), id="3"),
        ]
    )
    assert isinstance(first, Appended)
    assert isinstance(second, AlreadyExists)
    assert isinstance(third, Appended)
    assert 2 == third.version


async def test_sample_that_was_taken_in_is_a_duplicate(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(*(draft("a", sample=("boot", seq)) for seq in (1, 2))))
    resent = await changes.append(operation(*(draft("a", sample=("boot", seq)) for seq in (1, 2, 3, 3))))
    rebooted = await changes.append(operation(draft("a", sample=("other", 1))))
    assert {0, 1, 3} == set(resent.failures)
    assert {Failure("duplicate")} == set(resent.failures.values())
    assert (3, 4) == (resent.version, rebooted.version)


async def test_only_duplicates_append_nothing(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a", sample=("boot", 1))))
    result = await changes.append(operation(draft("a", sample=("boot", 1))))
    assert (None, 1, 1) == (result.position, result.prev, result.version)


async def test_orphan_is_refused_alone(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a")))
    result = await changes.append(operation(draft("a"), draft("b"), topic=SAMPLES, parent=THINGS))
    assert {1: Failure("orphan")} == result.failures
    assert 1 == result.version


async def test_operations_that_meet_in_a_call_get_their_own_results(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a"), draft("b")))
    touch = (Deadline("touch", "w_test:a", 1000),)
    results = await asyncio.gather(
        changes.append(operation(draft("a", sample=("s", 1)), topic=SAMPLES, parent=THINGS)),
        changes.append(operation(draft("x"), draft("b", sample=("s", 1)), topic=SAMPLES, parent=THINGS)),
        changes.append(operation(draft("a", sample=("s", 1)), topic=SAMPLES, parent=THINGS, deadlines=touch)),
    )
    assert [{}, {0: Failure("orphan")}, {0: Failure("duplicate")}] == [result.failures for result in results]
    assert [(), (), ("w_test:a",)] == [result.absent for result in results]
    assert 2 == len(await entries(open_redis_log))


async def test_unique_values_are_told_apart_and_given_up(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)

    def named(record_id: str, name: str, operation_id: str) -> Operation:
        action: Literal["put", "delete"] = "put" if name else "delete"
        return operation(draft(record_id, action, unique=(("name", name),)), id=operation_id)

    await changes.append(named("a", "one", "1"))
    with pytest.raises(AlreadyExists) as raised:
        await changes.append(named("b", "one", "2"))
    assert "name" == raised.value.field
    await changes.append(named("a", "two", "3"))
    await changes.append(named("b", "one", "4"))
    await changes.append(named("a", "", "5"))
    await changes.append(named("c", "two", "6"))
    both = operation(draft("b", unique=(("name", "three"),)), draft("d", unique=(("name", "one"),)), id="7")
    await changes.append(both)
    assert {b"two": b"c", b"three": b"b", b"one": b"d"} == await open_redis_log.hgetall(KEYS.unique(THINGS, "name"))  # type: ignore[misc]  # redis-py types it for both of its clients


async def test_deadline_is_armed_touched_expired_once_and_dropped(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)

    async def score() -> int | None:
        value = await open_redis_log.zscore(KEYS.deadlines, "m")
        return None if value is None else int(value)

    async def move(kind: Literal["arm", "touch", "drop", "expire"], value: int = 0, operation_id: str = "") -> Appended:
        return await changes.append(operation(deadlines=(Deadline(kind, "m", value),), id=operation_id))

    assert ("m",) == (await move("touch", 1000)).absent
    await move("arm", 1000)
    armed = await score()
    assert armed is not None
    assert () == (await move("touch", 60_000)).absent
    touched = await score()
    assert touched is not None
    assert touched > armed + 50_000
    for stale in (armed, touched):  # not what is set any more; not yet due
        with pytest.raises(Conflict, match="deadline"):
            await move("expire", stale, "op-expire")
    await move("arm", -1)
    due = await score()
    assert due is not None
    await move("expire", due, "op-expire")
    assert await score() is None
    await move("arm", 1000)
    await move("drop")
    assert await score() is None


async def test_full_queue_is_refused(open_redis_log: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_module, "MAX_WAITING_DRAFTS", 2)
    changes = ChangeLog(open_redis_log)
    accepted = [asyncio.create_task(changes.append(operation(draft(name)))) for name in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await changes.append(operation(draft("c")))
    await asyncio.gather(*accepted)
    await changes.append(operation(draft("c")))


async def test_queue_that_is_full_of_data_is_refused(open_redis_log: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    size_bytes = len(draft("a").data)
    monkeypatch.setattr(append_module, "MAX_WAITING_BYTES", 2 * size_bytes)
    changes = ChangeLog(open_redis_log)
    for names in ("abc", "def"):
        accepted = [asyncio.create_task(changes.append(operation(draft(name)))) for name in names[:2]]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await changes.append(operation(draft(names[2])))
        await asyncio.gather(*accepted)
        await changes.append(operation(draft(names[2])))


async def test_a_call_takes_no_more_data_than_it_should(open_redis_log: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append_module, "MAX_CALL_BYTES", 2 * len(draft("a").data))
    changes = ChangeLog(open_redis_log)
    await asyncio.gather(*(changes.append(operation(draft(name))) for name in "abcdefg"))
    entries = await recent(open_redis_log, THINGS, entries=100)
    assert "abcdefg" == "".join(sorted(change.id for entry in entries for change in entry.changes))
    assert 2 == max(len(entry.changes) for entry in entries)


async def test_bad_id_never_reaches_the_log(open_redis_log: Redis) -> None:
    with pytest.raises(ValueError, match="cannot be the id"):
        await ChangeLog(open_redis_log).append(operation(draft('a"b')))


async def test_closing_appends_what_waits(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    appending = [asyncio.create_task(changes.append(operation(draft(name)))) for name in "abc"]
    await asyncio.sleep(0)
    await changes.aclose()
    assert all(task.done() for task in appending)
    assert 3 == (await LogReader(open_redis_log).snapshot(THINGS)).version


async def test_guardian_that_was_overtaken_can_neither_seal_nor_open(open_redis_log: Redis) -> None:
    prefix = KEYS.prefix
    assert 1 == await open_redis_log.eval(SEAL, 1, prefix, "7")  # type: ignore[misc]  # redis-py types it for both of its clients
    assert 0 == await open_redis_log.eval(SEAL, 1, prefix, "6")  # type: ignore[misc]  # likewise
    assert 0 == await open_redis_log.eval(OPEN, 1, prefix, "6", "9")  # type: ignore[misc]  # likewise
    assert 0 == await open_redis_log.eval(REMEMBER, 1, prefix, "6", "op", "1-1 0 1 9", "1000")  # type: ignore[misc]  # likewise
    assert None is await open_redis_log.get(KEYS.epoch)


async def test_result_that_the_epoch_does_not_vouch_for_is_not_given_again(open_redis_log: Redis) -> None:
    changes = ChangeLog(open_redis_log)
    await changes.append(operation(draft("a", "create"), id="op-1"))
    await open_log(open_redis_log, epoch=2)
    again = await changes.append(operation(draft("a", "create"), id="op-1"))
    assert (Position(2, 1), False) == (again.position, again.repeated)


async def test_new_epoch_drops_the_entries_of_earlier_ones(open_redis_log: Redis) -> None:
    await ChangeLog(open_redis_log).append(operation(draft("a")))
    await open_log(open_redis_log, epoch=2)
    assert 1 == await open_redis_log.xlen(KEYS.log)


async def test_log_that_nobody_applies_accepts_no_more(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_module, "MAX_ENTRIES", 2)
    append_script.cache_clear()
    try:
        await open_log(redis)
        changes = ChangeLog(redis)
        await changes.append(operation(draft("a")))
        with pytest.raises(Overloaded, match="applied"):
            await changes.append(operation(draft("b")))
    finally:
        append_script.cache_clear()
