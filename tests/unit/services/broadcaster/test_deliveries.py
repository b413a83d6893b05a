"""What subscribers get who want each change, the whole list, or fewer frames."""

from __future__ import annotations

from shared.protocol import Delivery, Since
from tests.support.channel_world import Client, World
from tests.support.played_wire import messages


def test_each_change_is_told_by_itself_where_a_client_wants_that(world: World) -> None:
    client = Client(world, delivery=Delivery.EACH)
    assert [("snapshot", 2)] == client.brief()
    world.append("a", "b")
    world.append("a")
    world.wait(0.1)
    told = client.read()
    assert [("a", 3), ("b", 4), ("a", 5)] == [(message["id"], message["version"]) for message in told]
    assert {
        "op": "sync",
        "resource": "servers",
        "workspace": "w_1",
        "action": "updated",
        "id": "a",
        "version": 5,
        "epoch": "1",
        "data": {"at": 5},
    } == told[-1]


def test_each_change_that_was_missed_is_told_after_a_resume(world: World) -> None:
    world.append("a")
    client = Client(world, Since("1", 1), Delivery.EACH)
    assert [("subscribed", 1), ("sync", 2), ("sync", 3)] == client.brief()


def test_of_many_changes_that_were_missed_one_slice_waits_at_a_time(world: World) -> None:
    for _ in range(100):
        world.append("a")
    client = Client(world, Since("1", 1), Delivery.EACH)
    assert client.outbox.queued_bytes < 2_000
    told: list[int] = []
    while frame := client.wire.take_one():
        told += [message["version"] for message in messages([frame])]
        assert client.outbox.queued_bytes < 2_000
    assert [1, *range(2, 103)] == told
    world.append("a")
    assert [("sync", 103)] == client.brief()


def test_the_whole_list_is_sent_where_a_client_wants_that(world: World) -> None:
    client = Client(world, delivery=Delivery.FULL)
    assert [("snapshot", 2)] == client.brief()
    world.append("b")
    (full,) = client.read()
    assert ("full", "servers", "w_1", "1", 3) == tuple(
        full[k] for k in ("op", "topic", "workspace", "epoch", "version")
    )
    assert [("a", 1), ("b", 3)] == [(item["id"], item["version"]) for item in full["items"]]


def test_the_whole_list_follows_a_resume_only_where_something_was_missed(world: World) -> None:
    assert [("subscribed", 1), ("full", 2)] == Client(world, Since("1", 1), Delivery.FULL).brief()
    assert [("subscribed", 2)] == Client(world, Since("1", 2), Delivery.FULL).brief()


def test_a_client_that_wants_a_longer_tick_gets_fewer_frames(world: World) -> None:
    patient, eager = Client(world, tick_s=1.0), Client(world)
    frames = 0
    for _ in range(10):
        world.append("a")
        world.wait(0.1)
        frames += len(eager.brief())
    world.wait(1)
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 12)] == patient.brief()
    assert 11 == frames


def test_a_bookmark_waits_for_the_changes_of_those_with_a_longer_tick(world: World) -> None:
    patient, eager = Client(world, tick_s=20.0), Client(world)
    world.wait(world.channel.due_at - world.now - 1)
    world.append()
    world.append()
    world.wait(2)
    assert [("snapshot", 2), ("changes", 2, 3)] == patient.brief()
    assert [("snapshot", 2), ("changes", 2, 3), ("changes", 3, 4), ("bookmark", 4)] == eager.brief()
    world.wait(20)
    assert [("changes", 3, 4), ("bookmark", 4)] == patient.brief()


def test_those_who_want_the_same_share_the_same_frame_and_others_do_not(world: World) -> None:
    clients = [Client(world, delivery=delivery) for delivery in (*Delivery, *Delivery)]
    world.append()
    frames = [client.wire.take()[-1] for client in clients]
    assert frames[:3] == frames[3:]
    assert 3 == len(set(frames))
