"""The Python client's shell against a server whose every message is written in the test."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from datetime import timedelta

import pytest

from muster_client import (
    Change,
    Connected,
    ConnectionEvent,
    Disconnected,
    MusterClient,
    MustRefetch,
    NotOpen,
    Position,
    Refused,
    RetryLater,
    SignedOut,
    Watch,
    connection,
    subscription,
)
from tests.support.scripted_server import ScriptedServer, Visit, scripted_server
from tests.support.topic_history import Delivery, TopicHistory, history_of

EDITS = [("a", False), ("b", False), ("a", False)]


async def next_of(watch: Watch) -> Change:
    async with asyncio.timeout(5):
        return await anext(watch)


async def subscribed(server: ScriptedServer, history: TopicHistory) -> Visit:
    """Let a client in, and give it what it asks for."""
    visit = await server.visit()
    await visit.let_in()
    await visit.expect("subscribe")
    await visit.say(*history.snapshot())
    return visit


class Tokens:
    """A source of tokens `token-1`, `token-2`, …, unless something else is to come first."""

    def __init__(self, *faults: Exception) -> None:
        self.given = 0
        self._faults = deque(faults)

    async def __call__(self) -> str:
        if self._faults:
            raise self._faults.popleft()
        self.given += 1
        return f"token-{self.given}"


@pytest.mark.parametrize("delivery", ["batch", "each", "full"])
async def test_every_delivery_leads_to_the_same_changes(delivery: Delivery) -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers", delivery=delivery, tick_ms=500)
        visit = await server.visit()
        assert "t" == await visit.let_in()
        wish = await visit.expect("subscribe")
        assert (500, "w_1") == (wish["tick_ms"], wish["workspace"])
        assert delivery == wish.get("delivery", "batch")
        await visit.say(*(history.snapshot() if delivery != "full" else [history.full()]))
        assert {"a", "b"} == {(await next_of(watch)).id, (await next_of(watch)).id}
        history.edit("b", is_deleted=True)
        await visit.say(*history.after(3, delivery=delivery))
        assert Change("b", "deleted", 4, None) == await next_of(watch)
        topic = muster.topic("servers")
        assert (4, "1", True, {"a"}) == (topic.version, topic.epoch, topic.is_live, set(topic.items))
        assert Position("1", 4) == watch.position


async def test_of_delivery_each_no_change_is_left_out() -> None:
    history = history_of([])
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers", delivery="each")
        visit = await subscribed(server, history)
        for _ in range(50):
            history.edit("a", is_deleted=False)
        await visit.say(*history.after(0, delivery="each"))
        assert list(range(1, 51)) == [(await next_of(watch)).version for _ in range(50)]


async def test_a_gap_is_asked_for_and_never_applied_across() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers")
        visit = await subscribed(server, history)
        for _ in range(2):
            history.edit("c", is_deleted=False)
        await visit.say(*history.after(4))
        assert {"epoch": "1", "version": 3} == (await visit.expect("subscribe"))["since"]
        assert not muster.topic("servers").is_live
        await visit.say(history.subscribed(3), *history.after(3))
        changes = [await next_of(watch) for _ in range(3)]
        assert [("a", 3), ("b", 2), ("c", 5)] == sorted((change.id, change.version) for change in changes)


async def test_after_a_new_epoch_a_consumer_gets_the_differences() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers")
        visit = await subscribed(server, history)
        for _ in range(2):
            await next_of(watch)
        history.open_epoch(2)
        await visit.say(history.bookmark())
        assert "since" not in await visit.expect("subscribe")
        await visit.say(*history.snapshot(parts=2))
        assert [("a", "updated", 1), ("b", "deleted", 1)] == [
            (change.id, change.action, change.version) for change in (await next_of(watch), await next_of(watch))
        ]


async def test_a_resumed_client_names_what_it_has() -> None:
    history = history_of(EDITS)
    events: list[ConnectionEvent] = []
    lives: list[bool] = []

    def hear(event: ConnectionEvent) -> None:
        events.append(event)
        lives.append(muster.topic("servers").is_live)

    async with scripted_server() as server, MusterClient(server.url, token="t", on_connection=hear) as muster:
        watch = muster.watch("servers")
        visit = await subscribed(server, history)
        for _ in range(2):
            await next_of(watch)
        await visit.close(4503, "stopping")
        visit = await server.visit()
        await visit.let_in()
        assert {"epoch": "1", "version": 3} == (await visit.expect("subscribe"))["since"]
        history.edit("a", is_deleted=True)
        await visit.say(history.subscribed(3), *history.after(3))
        assert Change("a", "deleted", 4, None) == await next_of(watch)
    first, lost, again = events
    assert (Connected(is_first=True), Connected(is_first=False)) == (first, again)
    assert not any(lives)
    assert isinstance(lost, Disconnected)
    assert ("stopping", True) == (lost.reason, lost.retry_in_s <= 0.3)


@pytest.mark.parametrize(("code", "name"), [(4400, "bad_request"), (4403, "forbidden")])
async def test_a_final_code_ends_the_watchers(code: int, name: str) -> None:
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers")
        await (await server.visit()).close(code, "go away")
        with pytest.raises(Refused, match="go away") as refused:
            await next_of(watch)
        assert name == refused.value.code


async def test_a_token_for_good_that_is_refused_is_the_end() -> None:
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers")
        await (await server.visit()).close(4401, "the token is unknown")
        with pytest.raises(SignedOut, match="the token is unknown"):
            await next_of(watch)


async def test_after_a_refused_token_comes_another() -> None:
    tokens = Tokens()
    async with scripted_server() as server, MusterClient(server.url, token=tokens):
        visit = await server.visit()
        assert "token-1" == (await visit.expect("auth"))["token"]
        await visit.close(4401, "expired")
        assert "token-2" == await (await server.visit()).let_in()


async def test_a_token_is_kept_over_connections_as_long_as_it_is_good() -> None:
    tokens = Tokens()
    async with scripted_server() as server, MusterClient(server.url, token=tokens):
        for _ in range(2):
            visit = await server.visit()
            assert "token-1" == await visit.let_in(lasts=timedelta(minutes=15))
            await visit.close(4503)


async def test_a_token_is_renewed_in_the_stream() -> None:
    tokens = Tokens()
    async with scripted_server() as server, MusterClient(server.url, token=tokens):
        visit = await server.visit()
        await visit.let_in(lasts=timedelta(seconds=0.2))
        assert "token-2" == await visit.let_in(lasts=timedelta(seconds=0.2))
        assert "token-3" == await visit.let_in()


async def test_a_token_that_cannot_be_renewed_any_more_ends_the_watchers() -> None:
    tokens = Tokens()
    async with scripted_server() as server, MusterClient(server.url, token=tokens) as muster:
        watch = muster.watch("servers")
        visit = await server.visit()
        tokens._faults.append(SignedOut("the password was changed"))
        await visit.let_in(lasts=timedelta(seconds=0.2))
        with pytest.raises(SignedOut, match="the password was changed"):
            await next_of(watch)


async def test_a_client_that_was_signed_out_can_be_opened_again() -> None:
    tokens = Tokens()
    async with scripted_server() as server:
        muster = MusterClient(server.url, token=tokens)
        async with muster:
            visit = await server.visit()
            tokens._faults.append(SignedOut("the session has ended"))
            await visit.let_in(lasts=timedelta(seconds=0.2))
            await visit.until_closed()
        async with muster:
            visit = await server.visit()
            await visit.let_in()
            await visit.close(4503)
            await (await server.visit()).let_in()


async def test_a_source_that_has_no_token_now_is_asked_again() -> None:
    tokens = Tokens(RetryLater("not now", 0.01), ConnectionRefusedError("nobody there"))
    async with scripted_server() as server, MusterClient(server.url, token=tokens):
        assert "token-1" == await (await server.visit()).let_in()


async def test_a_pause_that_the_server_names_is_kept() -> None:
    events: asyncio.Queue[ConnectionEvent] = asyncio.Queue()
    async with scripted_server() as server, MusterClient(server.url, token="t", on_connection=events.put_nowait):
        await (await server.visit()).close(4429, "too many connections; retry_after_ms=60000")
        async with asyncio.timeout(5):
            event = await events.get()
        assert isinstance(event, Disconnected)
        assert 60 <= event.retry_in_s <= 66


async def test_a_pause_that_the_server_asked_for_long_ago_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    events: asyncio.Queue[ConnectionEvent] = asyncio.Queue()
    ahead_s = 0.0
    monkeypatch.setattr(connection, "_now", lambda: asyncio.get_running_loop().time() + ahead_s)
    async with (
        scripted_server() as server,
        MusterClient(server.url, token="t", on_connection=events.put_nowait) as muster,
    ):
        topic = muster.topic("servers")
        visit = await server.visit()
        await visit.let_in()
        await visit.expect("subscribe")
        busy = {"op": "error", "code": "unavailable", "message": "not now", "retry_after_ms": 60_000}
        await visit.say(busy, *history_of(EDITS).snapshot())
        await topic.until_live()
        ahead_s = 61.0
        await visit.close(4503)
        assert Connected(is_first=True) == await events.get()
        lost = await asyncio.wait_for(events.get(), 5)
        assert isinstance(lost, Disconnected)
        assert lost.retry_in_s <= 0.3


async def test_a_handshake_that_is_refused_for_a_while_is_tried_again_after_it() -> None:
    events: asyncio.Queue[ConnectionEvent] = asyncio.Queue()
    async with (
        scripted_server(refuses_with=503) as server,
        MusterClient(server.url, token="t", on_connection=events.put_nowait),
    ):
        event = await asyncio.wait_for(events.get(), 5)
        assert isinstance(event, Disconnected)
        assert ("the server answers with HTTP status 503", True) == (event.reason, 90 <= event.retry_in_s <= 99)


async def test_a_handshake_that_is_forbidden_is_the_end() -> None:
    async with scripted_server(refuses_with=403) as server, MusterClient(server.url, token="t") as muster:
        with pytest.raises(Refused, match="403"):
            await next_of(muster.watch("servers"))


async def test_a_server_that_does_not_welcome_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WELCOME_WITHIN_S", 0.05)
    async with scripted_server() as server, MusterClient(server.url, token="t"):
        await (await server.visit()).expect("auth")
        await (await server.visit()).expect("auth")


async def test_a_server_that_owes_an_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "ANSWER_WITHIN_S", 0.05)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        muster.topic("servers")
        visit = await server.visit()
        await visit.let_in()
        await visit.expect("subscribe")
        assert 1002 == await visit.until_closed()
        await server.visit()


async def test_a_renewal_that_is_not_answered_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RENEW_AGAIN_S", 0.05)
    async with scripted_server() as server, MusterClient(server.url, token=Tokens()):
        visit = await server.visit()
        await visit.let_in(lasts=timedelta(seconds=0.2))
        assert "token-2" == (await visit.expect("auth"))["token"]
        await visit.say({"op": "error", "code": "unavailable", "message": "not now", "retry_after_ms": 10})
        assert "token-3" == (await visit.expect("auth"))["token"]


async def test_a_renewal_is_not_tried_again_before_the_time_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RENEW_AGAIN_S", 0.01)
    tokens = Tokens()
    async with scripted_server() as server, MusterClient(server.url, token=tokens):
        visit = await server.visit()
        tokens._faults.append(RetryLater("busy", 0.5))
        asked_at = asyncio.get_running_loop().time()
        await visit.let_in(lasts=timedelta(seconds=0.2))
        assert "token-2" == (await visit.expect("auth"))["token"]
        assert asyncio.get_running_loop().time() - asked_at >= 0.5


async def test_a_defect_of_a_source_of_tokens_comes_out_as_it_is() -> None:
    tokens = Tokens()
    async with scripted_server() as server:
        muster = MusterClient(server.url, token=tokens)
        with pytest.raises(LookupError, match="a defect"):  # noqa: PT012 - it is the block that raises
            async with muster:
                watch = muster.watch("servers")
                visit = await server.visit()
                tokens._faults.append(LookupError("a defect"))
                await visit.let_in(lasts=timedelta(seconds=0.2))
                await next_of(watch)


async def test_what_is_of_another_workspace_is_not_ours() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t", workspace="w_1") as muster:
        watch = muster.watch("servers")
        visit = await server.visit()
        await visit.let_in(workspaces=("w_1", "w_2"))
        assert "w_1" == (await visit.expect("subscribe"))["workspace"]
        await visit.say(*history.snapshot())
        assert {"a", "b"} == {(await next_of(watch)).id, (await next_of(watch)).id}
        history.edit("b", is_deleted=True)
        await visit.say(history_of([("z", False)] * 9).full().replace('"w_1"', '"w_2"'), *history.after(3))
        assert Change("b", "deleted", 4, None) == await next_of(watch)


async def test_a_message_that_cannot_be_read_ends_the_connection_not_the_client() -> None:
    async with scripted_server() as server, MusterClient(server.url, token="t"):
        visit = await server.visit()
        await visit.let_in()
        await visit.say({"op": "surprise"})
        assert 1002 == await visit.until_closed()
        await (await server.visit()).let_in()


async def test_topics_and_watchers_share_one_connection() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        servers, agents, again = muster.watch("servers"), muster.watch("agents"), muster.watch("servers")
        visit = await server.visit()
        await visit.let_in()
        assert {"servers", "agents"} == {(await visit.expect("subscribe"))["topic"] for _ in range(2)}
        await visit.say(*history.snapshot(), history.snapshot()[0].replace('"servers"', '"agents"'))
        for watch in (servers, again, agents):
            assert "a" in {(await next_of(watch)).id, (await next_of(watch)).id}


async def test_a_refused_topic_ends_its_watchers_and_no_others() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        wrong, right = muster.watch("nothing"), muster.watch("servers")
        visit = await server.visit()
        await visit.let_in()
        for _ in range(2):
            await visit.expect("subscribe")
        await visit.say({"op": "error", "code": "unknown_topic", "message": "no such topic", "topic": "nothing"})
        with pytest.raises(Refused, match=r"no such topic \(unknown_topic\)"):
            await next_of(wrong)
        await visit.say(*history.snapshot())
        assert "b" in {(await next_of(right)).id, (await next_of(right)).id}
        again = muster.watch("nothing")
        assert "nothing" == (await visit.expect("subscribe"))["topic"]
        del again


async def test_a_check_is_true_or_heals() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        topic = muster.topic("servers")
        visit = await subscribed(server, history)
        checking = asyncio.create_task(topic.check())
        await visit.expect("check")
        await visit.say(history.bookmark())
        assert await checking
        topic.subscription.state.items.pop("a")
        checking = asyncio.create_task(topic.check())
        await visit.expect("check")
        await visit.say(history.bookmark())
        assert not await checking
        assert "since" not in await visit.expect("subscribe")


async def test_a_check_that_nobody_answers_has_a_limit() -> None:
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        topic = muster.topic("servers")
        await subscribed(server, history_of(EDITS))
        with pytest.raises(TimeoutError):
            await topic.check(timeout_s=0.05)


async def test_who_goes_on_from_a_position_gets_what_was_missed() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers", since="1-2")
        with pytest.raises(ValueError, match="followed from a position"):
            muster.watch("servers")
        visit = await server.visit()
        await visit.let_in()
        assert {"epoch": "1", "version": 2} == (await visit.expect("subscribe"))["since"]
        await visit.say(history.subscribed(2), *history.after(2))
        assert ("a", 3) == ((change := await next_of(watch)).id, change.version)
        with pytest.raises(MustRefetch):
            await muster.topic("servers").check()
        history.open_epoch(0)
        await visit.say(history.bookmark())
        await visit.expect("subscribe")
        await visit.say(*history.snapshot())
        with pytest.raises(MustRefetch):
            await next_of(watch)
        assert "created" == (await next_of(muster.watch("servers"))).action


async def test_a_topic_cannot_be_subscribed_in_two_ways() -> None:
    muster = MusterClient("ws://127.0.0.1:1", token="t")
    muster.topic("servers", delivery="each")
    muster.topic("servers")
    for other in ({"delivery": "full"}, {"tick_ms": 5}, {"since": "1-1"}):
        with pytest.raises(ValueError, match="subscribed already"):
            muster.topic("servers", **other)


async def test_a_watcher_ends_with_the_client_and_errors_come_out_as_they_are() -> None:
    async def watch_all(muster: MusterClient) -> list[Change]:
        return [change async for change in muster.watch("servers")]

    with pytest.raises(LookupError, match="of the block"):  # noqa: PT012 - it is the block that raises
        async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
            watching = asyncio.create_task(watch_all(muster))
            await server.visit()
            raise LookupError("of the block")
    async with asyncio.timeout(5):
        assert [] == await watching


async def test_a_client_that_is_not_open_says_so() -> None:
    muster = MusterClient("ws://127.0.0.1:1", token="t")
    with pytest.raises(NotOpen):
        await muster.topic("servers").until_live()
    with pytest.raises(NotOpen):
        await next_of(muster.watch("servers"))


async def test_a_wait_that_is_cancelled_loses_no_change() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        watch = muster.watch("servers")
        visit = await server.visit()
        await visit.let_in()
        await visit.expect("subscribe")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(watch)
        await visit.say(*history.snapshot())
        assert {"a", "b"} == {(await next_of(watch)).id, (await next_of(watch)).id}


async def test_a_watcher_that_was_given_up_costs_nothing() -> None:
    muster = MusterClient("ws://127.0.0.1:1", token="t")
    watch = muster.watch("servers")
    feeds = muster.topic("servers").subscription._feeds
    assert 1 == len(feeds)
    del watch
    gc.collect()
    assert 0 == len(feeds)


async def test_a_topic_that_nobody_watches_any_more_is_ended_and_resumed_later() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        one, other = muster.watch("servers"), muster.watch("servers")
        visit = await subscribed(server, history)
        for watch in (one, other):
            await next_of(watch)
        del one, watch
        history.edit("b", is_deleted=False)
        await visit.say(*history.after(3))
        while (await next_of(other)).version < 4:
            pass
        del other
        history.edit("b", is_deleted=False)
        await visit.say(*history.after(4))
        assert {"op": "unsubscribe", "topic": "servers", "workspace": "w_1"} == await visit.expect("unsubscribe")
        again = muster.watch("servers", delivery="batch")
        assert {"epoch": "1", "version": 5} == (await visit.expect("subscribe"))["since"]
        assert {"a", "b"} == {(await next_of(again)).id, (await next_of(again)).id}


async def test_a_topic_that_was_asked_for_by_name_is_kept() -> None:
    history = history_of(EDITS)
    async with scripted_server() as server, MusterClient(server.url, token="t") as muster:
        muster.topic("servers")
        watch = muster.watch("servers")
        visit = await subscribed(server, history)
        await next_of(watch)
        del watch
        history.edit("b", is_deleted=True)
        await visit.say(*history.after(3), history.bookmark())
        is_proven, _ = await asyncio.gather(muster.topic("servers").check(), answer_check(visit, history))
        assert is_proven


async def answer_check(visit: Visit, history: TopicHistory) -> None:
    await visit.expect("check")
    await visit.say(history.bookmark())


async def test_who_watches_what_nobody_does_any_more_may_do_so_in_another_way() -> None:
    muster = MusterClient("ws://127.0.0.1:1", token="t")
    watch = muster.watch("servers", since="1-4")
    with pytest.raises(ValueError, match="subscribed already"):
        muster.watch("servers", delivery="each")
    del watch
    gc.collect()
    watch = muster.watch("servers", delivery="each", tick_ms=500)
    kept = muster.topic("servers").subscription
    assert ("each", 500, None) == (kept.delivery, kept.tick_ms, kept.since)
    assert None is watch.position


async def test_leaving_does_not_wait_for_a_server_that_does_not_answer() -> None:
    async with asyncio.timeout(5), scripted_server() as server, MusterClient(server.url, token="t"):
        await server.visit()


async def test_a_defect_of_the_client_is_not_hidden() -> None:
    def fail(_: ConnectionEvent) -> None:
        raise LookupError("a defect")

    async with scripted_server() as server:
        with pytest.raises(LookupError, match="a defect"):  # noqa: PT012 - it is the block that raises
            async with MusterClient(server.url, token="t", on_connection=fail) as muster:
                visit = await server.visit()
                await visit.let_in()
                await muster.topic("servers").until_live(timeout_s=5)


async def test_a_defect_that_nobody_waited_for_comes_out_in_the_end() -> None:
    def fail(_: ConnectionEvent) -> None:
        raise LookupError("a defect")

    async with scripted_server() as server:
        with pytest.raises(LookupError, match="a defect"):  # noqa: PT012 - it is the block that raises
            async with MusterClient(server.url, token="t", on_connection=fail) as muster:
                await (await server.visit()).let_in()
                assert muster._task is not None
                await asyncio.wait((muster._task,), timeout=5)
