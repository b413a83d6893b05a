"""One open topic and its subscribers: who gets what, and that no one is ever left behind."""

from __future__ import annotations

import pytest

from services.broadcaster.channel import MAX_BUFFERED_SETS
from shared.errors import MustRefetch
from shared.protocol import Refusal, Since
from tests.support.channel_world import PACE, Client, World
from tests.support.client_topic import ClientTopic


def test_a_subscriber_gets_a_snapshot(world: World) -> None:
    (message,) = Client(world).read()
    assert ("snapshot", "1", 2, False) == tuple(message[key] for key in ("op", "epoch", "version", "recovered"))
    assert [{"id": "a", "version": 1, "data": {"at": 1}}, {"id": "b", "version": 2, "data": {"at": 2}}] == (
        message["items"]
    )


def test_the_first_change_goes_out_at_once_and_the_next_ones_together_after_a_tick(world: World) -> None:
    client = Client(world)
    for _ in range(3):
        world.append("a")
    assert [("snapshot", 2), ("changes", 2, 3)] == client.brief()
    world.wait(0.1)
    assert [("changes", 3, 5)] == client.brief()


def test_a_conflated_frame_has_the_last_change_of_each_record(world: World) -> None:
    client = Client(world)
    world.append("a")
    world.append("a", "b")
    world.append("a")
    world.wait(0.1)
    changes = client.read()[-1]["changes"]
    assert [("b", 5), ("a", 6)] == [(change["id"], change["version"]) for change in changes]


def test_subscribers_share_the_same_frame(world: World) -> None:
    clients = [Client(world), Client(world)]
    world.append()
    first, second = (client.wire.take() for client in clients)
    assert first[0] is second[0]
    assert first[1] is second[1]


def test_who_subscribes_between_two_frames_is_not_sent_what_it_knows(world: World) -> None:
    early = Client(world)
    world.append()
    world.append()
    late = Client(world)
    world.wait(0.1)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4)] == early.brief()
    assert [("snapshot", 4)] == late.brief()


def test_who_subscribes_between_two_frames_skips_what_it_knows_of_the_next(world: World) -> None:
    Client(world)
    world.append()
    world.append()
    late = Client(world)
    world.append()
    world.wait(0.1)
    assert [("snapshot", 4), ("changes", 3, 5)] == late.brief()


def test_a_client_that_comes_back_gets_only_what_it_missed(world: World) -> None:
    assert [("subscribed", 1), ("changes", 1, 2)] == Client(world, Since("1", 1)).brief()


def test_a_client_that_missed_nothing_is_told_so(world: World) -> None:
    (message,) = Client(world, Since("1", 2)).read()
    assert {
        "op": "subscribed",
        "topic": "servers",
        "workspace": "w_1",
        "epoch": "1",
        "version": 2,
        "recovered": True,
    } == message


@pytest.mark.parametrize("epoch", ["0", "01", "one", ""])
def test_a_client_of_another_epoch_gets_a_snapshot(world: World, epoch: str) -> None:
    assert [("snapshot", 2)] == Client(world, Since(epoch, 1)).brief()


def test_a_client_that_knows_a_later_epoch_waits_for_this_replica(world: World) -> None:
    client = Client(world, Since("2", 2))
    world.append()
    assert [] == client.brief()
    world.log.open_epoch(lost_versions=0)
    world.channel.opened(2)
    world.load()
    assert [("snapshot", 3)] == client.brief()


def test_a_client_that_claims_an_epoch_that_never_was_gets_a_snapshot(world: World) -> None:
    client = Client(world, Since("9" * 40, 2))
    world.wait(2)
    assert world.channel.needs_load
    world.load()
    assert [("snapshot", 2)] == client.brief()


def test_a_client_of_before_the_ring_gets_a_snapshot(world: World) -> None:
    world.log.entries.clear()
    world.load()
    assert [("snapshot", 2)] == Client(world, Since("1", 1)).brief()


def test_a_client_that_has_seen_more_waits_for_this_replica(world: World) -> None:
    client = Client(world, Since("1", 3))
    assert [] == client.brief()
    world.append()
    assert [("subscribed", 3)] == client.brief()


def test_a_topic_that_stays_behind_is_read_again(world: World) -> None:
    unseen = world.log.append([("c", False)])
    client = Client(world, Since("1", 3))
    needs_load = []
    for pause_s in (1.9, 0.1):
        world.wait(pause_s)
        needs_load.append(world.channel.needs_load)
    assert [False, True] == needs_load
    world.load()
    assert [("subscribed", 3)] == client.brief()
    world.take_in(unseen)
    assert [] == client.brief()


def test_a_client_that_claims_what_never_was_gets_a_snapshot(world: World) -> None:
    client = Client(world, Since("1", 1_000))
    world.wait(2)
    world.load()
    assert [("snapshot", 2)] == client.brief()


def test_a_subscriber_of_an_unread_topic_is_answered_when_it_has_been_read() -> None:
    world = World()
    client = Client(world)
    assert world.channel.needs_load
    world.load()
    assert [("snapshot", 0)] == client.brief()
    assert not world.channel.needs_load


def test_a_subscriber_of_an_unreadable_topic_is_told_to_come_back() -> None:
    world = World()
    client = Client(world)
    world.wait(4.9)
    assert [] == client.refusals
    world.wait(0.1)
    refusal = Refusal(
        code="unavailable",
        message="the topic cannot be read at the moment",
        topic="servers",
        workspace="w_1",
        retry_after_ms=1_000,
    )
    assert [refusal] == client.refusals
    world.load()
    assert [] == client.brief()


def test_a_client_that_is_live_is_not_sent_away_while_its_topic_is_read_again(world: World) -> None:
    client = Client(world)
    world.channel.invalidate()
    world.wait(29)
    world.load()
    assert [] == client.refusals
    assert [("snapshot", 2)] == client.brief()


def test_what_comes_while_a_topic_is_read_is_merged() -> None:
    world = World()
    world.append("a")
    client = Client(world)
    world.channel.begin_load()
    snapshot, recent = world.log.snapshot(), list(world.log.entries)
    world.append("b")
    world.channel.finish_load(snapshot, recent)
    assert [("snapshot", 2)] == client.brief()


def test_what_does_not_fit_to_what_was_read_makes_it_be_read_again() -> None:
    world = World()
    snapshot = world.log.snapshot()
    world.log.append([("a", False)])
    world.channel.begin_load()
    world.append("b")
    with pytest.raises(MustRefetch):
        world.channel.finish_load(snapshot, [])
    world.load()
    assert [("snapshot", 2)] == Client(world).brief()


def test_a_new_epoch_while_a_topic_is_read_makes_it_be_read_again() -> None:
    world = World()
    world.channel.begin_load()
    snapshot = world.log.snapshot()
    world.channel.opened(2)
    with pytest.raises(MustRefetch):
        world.channel.finish_load(snapshot, [])


def test_more_changes_than_may_be_kept_while_a_topic_is_read_make_it_be_read_again() -> None:
    world = World()
    change_set = world.log.append([("a", False)])
    world.channel.begin_load()
    for _ in range(MAX_BUFFERED_SETS + 1):
        world.channel.take_in(change_set)
    with pytest.raises(MustRefetch):
        world.channel.finish_load(world.log.snapshot(), [])


def test_who_becomes_impatient_while_a_topic_is_read_waits_for_the_next_reading(world: World) -> None:
    read_before = world.log.snapshot()
    world.channel.begin_load()
    world.log.append([("a", False)])
    client = Client(world, Since("1", world.log.version))
    world.wait(PACE.behind_s)
    world.channel.finish_load(read_before, [])
    assert world.channel.needs_load
    assert [] == client.brief()
    world.load()
    assert [("subscribed", world.log.version)] == client.brief()


def test_a_gap_makes_the_topic_be_read_again_and_brings_its_subscribers_up_to_date(world: World) -> None:
    client = Client(world)
    client.read()
    world.log.append([("a", False)])
    world.append("b")
    assert world.channel.needs_load
    assert [] == client.brief()
    world.load()
    assert [("changes", 2, 4)] == client.brief()


def test_after_a_gap_that_the_log_does_not_hold_any_more_subscribers_get_a_snapshot(world: World) -> None:
    client = Client(world)
    client.read()
    world.append("a")
    client.read()
    world.log.append([("b", False)])
    world.log.entries.clear()
    world.append("c")
    world.load()
    assert [("snapshot", 5)] == client.brief()


def test_a_new_epoch_is_told_by_a_bookmark_until_the_client_asks_again(world: World) -> None:
    client = Client(world)
    client.read()
    world.log.open_epoch(lost_versions=1)
    world.channel.opened(2)
    world.load()
    (bookmark,) = client.read()
    assert ("bookmark", "2", 1) == tuple(bookmark[key] for key in ("op", "epoch", "version"))
    world.append("c")
    assert [] == client.brief()
    client.leave()
    client.subscription = client.subscribe(None)
    assert [("snapshot", 2)] == client.brief()


def test_a_client_that_was_told_of_a_new_epoch_is_told_again_by_later_bookmarks(world: World) -> None:
    client = Client(world)
    world.log.open_epoch(lost_versions=0)
    world.channel.opened(2)
    world.load()
    client.read()
    world.wait(30)
    assert [("bookmark", 2)] == client.brief()


def test_an_epoch_that_is_known_changes_nothing(world: World) -> None:
    world.channel.opened(1)
    assert not world.channel.needs_load


def test_bookmarks_come_every_half_minute_with_the_digest(world: World) -> None:
    client = Client(world)
    client.read()
    world.wait(90)
    bookmarks = client.read()
    assert 3 == len(bookmarks)
    mirror = ClientTopic()
    mirror.ask()
    mirror.receive(Client(world).read()[0])
    assert mirror.digest == bookmarks[0]["digest"]


def test_a_bookmark_does_not_overtake_changes(world: World) -> None:
    client = Client(world)
    client.read()
    world.wait(world.channel.due_at - world.now - 0.02)
    world.append()
    world.now += 0.03
    world.append()
    world.wait(0.2)
    assert [("changes", 2, 3), ("changes", 3, 4), ("bookmark", 4)] == client.brief()


def test_a_check_is_answered_at_once_after_what_was_missed(world: World) -> None:
    client = Client(world)
    world.append()
    world.append()
    client.read()
    world.channel.check(client.subscription)
    assert [("changes", 3, 4), ("bookmark", 4)] == client.brief()


def test_a_check_while_the_topic_is_read_is_answered_after_it(world: World) -> None:
    client = Client(world)
    client.read()
    world.channel.invalidate()
    world.channel.check(client.subscription)
    assert [] == client.brief()
    world.load()
    assert [("bookmark", 2)] == client.brief()
    world.load()
    assert [] == client.brief()


def test_a_client_that_does_not_read_is_skipped_and_catches_up_from_its_own_version(world: World) -> None:
    client = Client(world)
    for _ in range(10):
        world.append("a")
        world.wait(1)
    assert 4 == len(client.outbox)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4), ("changes", 4, 5), ("changes", 5, 12)] == (
        client.brief()
    )
    world.append("a")
    assert [("changes", 12, 13)] == client.brief()


def test_a_subscriber_whose_outbox_is_full_is_answered_when_it_has_read(world: World) -> None:
    client = Client(world)
    for _ in range(4):
        world.append("a")
        world.wait(1)
    client.leave()
    client.subscription = client.subscribe(Since("1", 2))
    assert 4 == len(client.outbox)
    assert [("subscribed", 2), ("changes", 2, 6)] == client.brief()[4:]


def test_a_check_of_a_client_whose_outbox_is_full_is_answered_when_it_has_read(world: World) -> None:
    client = Client(world)
    for _ in range(4):
        world.append("a")
        world.wait(1)
    world.channel.check(client.subscription)
    assert 4 == len(client.outbox)
    assert [("changes", 5, 6), ("bookmark", 6)] == client.brief()[4:]


def test_who_has_left_gets_nothing(world: World) -> None:
    client = Client(world)
    client.read()
    client.leave()
    world.append()
    world.wait(60)
    assert [] == client.brief()


def test_a_topic_that_nobody_wants_is_abandoned_after_a_while(world: World) -> None:
    client = Client(world)
    client.leave()
    assert not world.channel.is_abandoned(world.now + 59)
    assert world.channel.due_at <= world.now + 60
    assert world.channel.is_abandoned(world.now + 60)


def test_a_topic_with_a_subscriber_is_not_abandoned(world: World) -> None:
    Client(world)
    assert not world.channel.is_abandoned(world.now + 1e6)


def test_a_thousand_subscribers_share_one_snapshot(world: World) -> None:
    assert 1 == len({id(Client(world).wire.take_one()) for _ in range(1_000)})
