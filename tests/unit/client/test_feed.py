"""What a consumer of the Python client is given, and from where it may go on."""

from __future__ import annotations

import pytest

from muster_client import feed
from muster_client.feed import Feed
from muster_client.messages import Change, Changes, Item, Position, Snapshot, Subscribed
from muster_client.topic import TopicState


def changes(prev: int, *changes: Change, epoch: str = "1") -> Changes:
    return Changes(topic="servers", epoch=epoch, prev=prev, version=changes[-1].version, changes=changes)


def put(record_id: str, version: int, **data: object) -> Change:
    return Change(record_id, "updated", version, data)


def delete(record_id: str, version: int) -> Change:
    return Change(record_id, "deleted", version, None)


class Followed:
    """A topic, and what is given of it."""

    def __init__(self, *items: Item, version: int = 0, since: Position | None = None, depth: int = 0) -> None:
        self.state = TopicState(since)
        self.feed = Feed(self.state, depth=depth)
        if since is None:
            self.become(*items, version=version)
        else:
            self.state.receive(Subscribed(topic="servers", epoch=since.epoch, version=since.version))

    def become(self, *items: Item, version: int, epoch: str = "1") -> None:
        whole = Snapshot(topic="servers", epoch=epoch, version=version, part=1, parts=1, items=items)
        self.feed.advance(self.state.receive(whole))

    def change(self, *those: Change) -> None:
        assert self.state.position is not None
        self.feed.advance(self.state.receive(changes(self.state.position.version, *those)))

    def given(self) -> list[Change]:
        return list(iter(self.feed.take, None))


def test_the_records_at_the_beginning_are_given_as_created() -> None:
    followed = Followed(Item("a", 1, {}), Item("b", 2, {"n": 1}), version=2)
    assert [Change("a", "created", 1, {}), Change("b", "created", 2, {"n": 1})] == followed.given()
    assert [] == followed.given()


def test_a_consumer_who_comes_later_begins_with_what_is_held() -> None:
    followed = Followed(Item("a", 1, {}), version=1)
    followed.change(put("b", 2))
    assert [Change("a", "created", 1, {}), Change("b", "created", 2, {})] == list(iter(Feed(followed.state).take, None))


def test_of_several_changes_of_a_record_the_last_is_given() -> None:
    followed = Followed(Item("a", 1, {}), version=1)
    followed.given()
    followed.change(put("a", 2, n=2))
    followed.change(put("b", 3), put("a", 4, n=4))
    assert [Change("a", "updated", 4, {"n": 4}), Change("b", "created", 3, {})] == followed.given()


def test_what_came_and_went_meanwhile_is_never_heard_of() -> None:
    followed = Followed(Item("a", 1, {}), version=1)
    followed.given()
    followed.change(put("b", 2))
    followed.change(delete("b", 3), delete("a", 4), put("a", 5, n=5))
    assert [Change("a", "updated", 5, {"n": 5})] == followed.given()


def test_a_busy_record_does_not_keep_the_others_from_their_turn() -> None:
    followed = Followed(version=0)
    seen = []
    for version in range(1, 41, 2):
        followed.change(put("a", version), put("b", version + 1))
        change = followed.feed.take()
        assert change is not None
        seen.append(change.id)
    assert ["a", "b"] * 10 == seen


def test_after_a_refetch_only_the_differences_are_given() -> None:
    followed = Followed(Item("a", 1, {}), Item("b", 2, {}), Item("c", 3, {}), version=3)
    followed.given()
    followed.become(Item("a", 1, {}), Item("b", 5, {"n": 5}), Item("d", 6, {}), version=7, epoch="2")
    expected = [Change("b", "updated", 5, {"n": 5}), Change("d", "created", 6, {}), Change("c", "deleted", 7, None)]
    assert expected == followed.given()


def test_another_record_of_the_same_version_is_a_difference() -> None:
    followed = Followed(Item("a", 1, {"epoch": 1}), version=1)
    followed.given()
    followed.become(Item("a", 1, {"epoch": 2}), version=1, epoch="2")
    assert [Change("a", "updated", 1, {"epoch": 2})] == followed.given()


def test_the_first_changes_that_wait_are_kept_one_by_one() -> None:
    followed = Followed(Item("a", 1, {}), version=1, depth=2)
    followed.given()
    for version in range(2, 7):
        followed.change(put("a", version))
    assert [2, 3, 6] == [change.version for change in followed.given()]
    followed.change(put("a", 7), put("a", 8))
    assert [7, 8] == [change.version for change in followed.given()]


def test_the_position_is_where_everything_was_given() -> None:
    followed = Followed(Item("a", 1, {}), Item("b", 2, {}), version=2)
    positions = []
    while followed.feed.take() is not None:
        positions.append(followed.feed.position)
    assert [None, Position("1", 2)] == positions
    followed.change(put("a", 3), put("b", 4))
    followed.feed.take()
    assert Position("1", 2) == followed.feed.position


def test_the_position_is_kept_from_the_moment_in_which_the_last_change_was_taken() -> None:
    followed = Followed(Item("a", 1, {}), version=1)
    followed.given()
    followed.change(put("a", 2))  # nobody has looked at the position before
    assert Position("1", 1) == followed.feed.position


def test_changes_that_wait_one_by_one_are_not_given_yet() -> None:
    followed = Followed(version=0, depth=5)
    followed.change(put("a", 1), put("a", 2))
    followed.feed.take()
    assert None is not followed.feed.take()
    followed.change(put("a", 3))
    assert Position("1", 2) == followed.feed.position


def test_who_goes_on_from_a_position_hears_of_deletions_of_what_nobody_here_has_seen() -> None:
    followed = Followed(since=Position("1", 4))
    followed.change(put("b", 5), delete("a", 6))
    followed.change(delete("b", 7))
    assert [delete("b", 7), delete("a", 6)] == followed.given()
    assert not followed.feed.is_broken


def test_who_goes_on_from_a_position_cannot_be_told_differences() -> None:
    followed = Followed(since=Position("1", 4))
    followed.become(Item("a", 1, {}), version=9, epoch="2")
    assert followed.feed.is_broken


def test_too_much_for_who_goes_on_from_a_position_is_a_refetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_BLIND", 3)
    followed = Followed(since=Position("1", 4))
    followed.change(*(put(record_id, version) for version, record_id in enumerate("abc", 5)))
    assert not followed.feed.is_broken
    followed.change(put("d", 8))
    assert followed.feed.is_broken
