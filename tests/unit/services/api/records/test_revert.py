"""Which change undoes which, and when there is none."""

import datetime as dt
import json

import pytest

from services.api.records.revert import undo
from shared.errors import NotFound
from shared.io.database.journal import Event, Step
from shared.io.problem import HttpError
from shared.journal import EventType, item_of
from shared.operation import Draft
from shared.resources import RESOURCES, SERVERS, Resource
from shared.topic import Record

WEBSITES = RESOURCES["websites"]
AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
Fields = dict[str, object]


def site(**fields: object) -> Fields:
    return {"primary_domain": "a.example", **fields}


def event(resource: Resource, event_type: EventType, version: int, fields: Fields | None) -> Event:
    data = None if fields is None else json.dumps(fields).encode()
    payload = item_of(resource, "x_1", version, data)
    return Event(id=version, record_id="x_1", type=event_type, payload=payload, actor="u_1", at=AT)


def step(before: Fields | None, after: Fields | None, resource: Resource = WEBSITES) -> Step:
    earlier = None if before is None else event(resource, "update", 4, before)
    event_type: EventType = "delete" if after is None else "add" if before is None else "update"
    return Step(event(resource, event_type, 5, after), earlier)


def record(**fields: object) -> Record:
    return Record("x_1", 9, json.dumps(fields).encode())


def told(draft: Draft) -> Fields:
    fields: Fields = json.loads(draft.data)
    return fields


def refused(a_step: Step, current: Record | None, *again: str, by: Resource = WEBSITES) -> tuple[int, str, list[str]]:
    with pytest.raises(HttpError) as error:
        undo(by, a_step, current, again)
    return error.value.status, error.value.code, [each.field for each in error.value.errors]


def changed_since(*fields: str) -> tuple[int, str, list[str]]:
    return 409, "changed_since", list(fields)


def not_revertible(*fields: str) -> tuple[int, str, list[str]]:
    return 422, "not_revertible", list(fields)


def test_altered_fields_get_their_earlier_values_and_others_stay() -> None:
    now = record(**site(status="new", cname="c.example"))
    draft = undo(WEBSITES, step(site(status="old"), site(status="new")), now, ())
    assert ("x_1", "update", 9) == (draft.id, draft.action, draft.expect)
    assert (("primary_domain", "a.example"),) == draft.unique
    fields = told(draft)
    assert ("old", "c.example") == (fields["status"], fields["cname"])


def test_a_creation_is_undone_by_a_deletion_that_gives_unique_values_up() -> None:
    draft = undo(WEBSITES, step(None, site()), record(**site()), ())
    assert Draft(id="x_1", action="delete", expect=9, unique=(("primary_domain", ""),)) == draft


def test_a_deletion_is_undone_by_the_record_as_it_was() -> None:
    draft = undo(WEBSITES, step(site(status="old"), None), None, ())
    assert ("x_1", "create", None) == (draft.id, draft.action, draft.expect)
    assert (("primary_domain", "a.example"),) == draft.unique
    assert "old" == told(draft)["status"]


def test_fields_that_were_changed_again_are_named() -> None:
    before, after = site(status="a", cname="a.example"), site(status="b", cname="b.example")
    edited, now = step(before, after), record(**after)
    assert changed_since("status") == refused(edited, record(**after | {"status": "c"}))
    assert changed_since("cname") == refused(edited, now, "cname", "line_group")
    assert changed_since("status") == refused(step(None, after), record(**after | {"status": "c"}))


def test_a_record_that_came_or_went_since_is_not_touched() -> None:
    assert changed_since() == refused(step(site(), None), record(**site()))
    assert changed_since() == refused(step(site(), site(status="b")), None)
    assert changed_since() == refused(step(None, site()), None)


def test_what_altered_nothing_cannot_be_undone() -> None:
    nothing: tuple[int, str, list[str]] = (422, "nothing_to_revert", [])
    assert nothing == refused(step(site(), site(status="active")), record(**site()))
    deleted_twice = Step(event(WEBSITES, "delete", 5, None), event(WEBSITES, "delete", 4, None))
    assert nothing == refused(deleted_twice, None)


def test_what_was_before_must_be_known() -> None:
    with pytest.raises(NotFound):
        undo(WEBSITES, Step(event(WEBSITES, "update", 5, site()), None), record(**site()), ())


def test_only_what_people_write_can_be_undone() -> None:
    now = record(name="y", status="offline")
    went_off = step({"name": "x", "status": "online"}, {"name": "y", "status": "offline"}, SERVERS)
    assert not_revertible("status") == refused(went_off, now, by=SERVERS)
    renamed = step({"name": "x", "status": "online"}, {"name": "y", "status": "online"}, SERVERS)
    fields = told(undo(SERVERS, renamed, now, ()))
    assert ("x", "offline") == (fields["name"], fields["status"])


def test_servers_do_not_come_and_go_by_undoing() -> None:
    assert not_revertible() == refused(step(None, {"name": "x"}, SERVERS), record(name="x"), by=SERVERS)
    assert not_revertible() == refused(step({"name": "x"}, None, SERVERS), None, by=SERVERS)
