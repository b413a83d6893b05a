"""What entries of the log mean for PostgreSQL."""

import datetime as dt

import msgspec
import pytest

from services.worker.projection import EVENT_COLUMNS, HISTORY_COLUMNS, late_places, project
from shared.change import Action, Change, ChangeSet
from shared.names import Topic, new_id
from shared.operation import CALL
from shared.position import Position

THINGS = Topic("w_1", "servers")


def entry(seq: int, prev: int, *changes: tuple[str, Action, str], topic: Topic = THINGS, op: str = "") -> ChangeSet:
    made = tuple(
        Change(record_id, action, version, msgspec.Raw(data.encode()) if data else None)
        for version, (record_id, action, data) in enumerate(changes, prev + 1)
    )
    return ChangeSet(Position(2, seq), topic, prev, prev + len(made), 0, "test", op, made)


def test_each_record_goes_to_its_last_change() -> None:
    projection = project(
        [
            entry(1, 0, ("a", "created", '{"n":1}'), ("b", "created", '{"n":2}')),
            entry(2, 2, ("a", "updated", '{"n":3.10}'), ("b", "deleted", ""), ("c", "created", "{}")),
        ]
    )
    rows = projection.tables["servers"]
    assert (
        b'[{"workspace_id":"w_1","id":"a","version":3,"n":3.10},{"workspace_id":"w_1","id":"c","version":5}]'
        == rows.upserts
    )
    assert (["w_1"], ["b"], [4]) == rows.deletions
    assert [("w_1", "servers", 5)] == projection.topics


def test_record_that_was_deleted_and_made_again_is_stored() -> None:
    rows = project([entry(1, 4, ("a", "deleted", ""), ("a", "created", '{"n":1}'))]).tables["servers"]
    assert b'[{"workspace_id":"w_1","id":"a","version":6,"n":1}]' == rows.upserts
    assert ([], [], []) == rows.deletions


def test_operations_are_kept_with_their_first_result() -> None:
    projection = project([entry(7, 3, ("a", "created", "{}"), op="op-1"), entry(8, 4, ("a", "deleted", ""))])
    assert [("op-1", 2, 7, 3, 4)] == projection.operations


def test_operations_that_only_their_calls_repeat_are_not_kept() -> None:
    assert [] == project([entry(7, 3, ("a", "created", "{}"), op=new_id(CALL))]).operations


def test_every_sample_becomes_history_at_its_own_time() -> None:
    topic = Topic("w_1", "metrics")
    first = '{"ts":"2026-01-01T00:00:00Z","boot_id":"b","seq":1,"cpu_percent":5.5}'
    second = '{"ts":"2025-01-01T00:00:00Z","boot_id":"b","seq":2,"mem_used":7,"temperatures":{"cpu":40}}'
    projection = project(
        [entry(1, 0, ("s", "created", first), ("s", "updated", second), ("s", "deleted", ""), topic=topic)]
    )
    rows = [dict(zip(HISTORY_COLUMNS, row, strict=True)) for row in projection.history]
    assert [dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (2026, 2025)] == [row["ts"] for row in rows]
    assert [(5.5, None, None), (None, 7, b'{"temperatures":{"cpu":40.0}}')] == [
        (row["cpu_percent"], row["mem_used"], row["details"]) for row in rows
    ]
    assert {"s"} == {row["server_id"] for row in rows}


def test_sample_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        project([entry(1, 0, ("s", "created", '{"cpu_percent":"much"}'), topic=Topic("w_1", "metrics"))])


def test_topic_that_this_worker_does_not_know_only_moves_its_version() -> None:
    projection = project([entry(1, 0, ("a", "created", "{}"), topic=Topic("w_1", "unheard_of"))])
    assert ({}, [("w_1", "unheard_of", 1)]) == (projection.tables, projection.topics)


def test_every_change_of_a_journalled_resource_is_an_event() -> None:
    first = entry(1, 0, ("a", "created", '{"name":"x"}'), ("a", "updated", '{"name":"y"}'))
    second = entry(2, 2, ("a", "deleted", ""), topic=THINGS)
    at = dt.datetime(2026, 1, 1, 0, 0, 0, 7000, tzinfo=dt.UTC)
    second = msgspec.structs.replace(second, at_ms=round(at.timestamp() * 1000), actor="u_1")
    events = [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in project([first, second]).events]
    assert [(1, "add", "test"), (2, "update", "test"), (3, "delete", "u_1")] == [
        (event["id"], event["event_type"], event["actor"]) for event in events
    ]
    assert [("w_1", "servers", "a")] * 3 == [(e["workspace_id"], e["topic"], e["record_id"]) for e in events]
    assert b'{"id":"a","server_id":"a","version":2,"name":"y"}' == events[1]["payload"]
    assert (b'{"id":"a","server_id":"a","version":3}', at) == (events[2]["payload"], events[2]["created_at"])


@pytest.mark.parametrize("resource", ["metrics", "agents", "unheard_of"])
def test_what_is_not_journalled_has_no_events(resource: str) -> None:
    assert [] == project([entry(1, 0, ("a", "deleted", ""), topic=Topic("w_1", resource))]).events


METRICS = Topic("w_1", "metrics")
SAMPLE = '{"ts":"2026-01-01T00:00:00Z","cpu_percent":5.5}'


def test_window_goes_with_its_record_or_alone() -> None:
    latest = entry(1, 0, ("s", "created", SAMPLE), topic=METRICS)
    latest = msgspec.structs.replace(latest, windows={"s": "b 1-1", "late": "b 1-3"})
    projection = project([latest, entry(2, 1, ("s", "updated", SAMPLE), topic=METRICS)])
    assert '"sample_window":"b 1-1"' in projection.tables["metrics"].upserts.decode()
    assert [("w_1", "late", "b 1-3")] == projection.windows


def test_window_of_a_record_that_was_deleted_goes_with_it() -> None:
    latest = msgspec.structs.replace(entry(1, 0, ("s", "created", SAMPLE), topic=METRICS), windows={"s": "b 1-1"})
    anew = entry(2, 1, ("s", "deleted", ""), ("s", "created", SAMPLE), topic=METRICS)
    assert [("w_1", "s", "")] == project([latest, anew]).windows
    named = msgspec.structs.replace(anew, windows={"s": "c 1-1"})
    assert [] == project([latest, named]).windows
    assert [] == project([latest, entry(2, 1, ("s", "deleted", ""), topic=METRICS)]).windows


def test_late_places_are_quarters_of_an_hour_of_servers() -> None:
    def at(minute: int) -> dt.datetime:
        return dt.datetime(2026, 3, 1, 12, minute, tzinfo=dt.UTC)

    history = [("w_1", "s_1", at(44)), ("w_1", "s_1", at(31)), ("w_2", "s_1", at(29)), ("w_1", "s_2", at(45))]
    expected = {("w_1", "s_1", at(30)), ("w_2", "s_1", at(15))}
    assert expected == late_places(history, at(45))
