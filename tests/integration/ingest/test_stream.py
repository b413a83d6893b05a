"""The stream of an agent, with a real client: what is said on it, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from services.ingest.stream.session import MAX_REFUSALS, WINDOW
from services.ingest.stream.turnstile import MOST_AT_ONCE
from shared.names import Topic, deadline_of
from tests.support.agent_stream import AgentStream, Replica, replica_of, until
from tests.support.ingest import OFFLINE_AFTER_S, WORKSPACE, Enrolled, Ingest
from tests.support.log import recent

SAMPLE: dict[str, Any] = {"ts": "2026-01-02T03:04:05Z", "boot_id": "boot-1", "seq": 1, "cpu_percent": 12.5}


def samples(first: int, count: int = 1) -> list[dict[str, Any]]:
    return [SAMPLE | {"seq": seq} for seq in range(first, first + count)]


@pytest.fixture
def deadline(agent: Enrolled) -> str:
    return deadline_of(WORKSPACE, agent.server_id)


@asynccontextmanager
async def closed_log(ingest: Ingest) -> AsyncIterator[None]:
    """Let nothing be appended."""
    keys = [key async for key in ingest.redis.scan_iter("*:epoch")]
    epochs = [await ingest.redis.get(key) for key in keys]
    await ingest.redis.delete(*keys)
    yield
    await ingest.redis.mset(dict(zip(keys, epochs, strict=True)))


async def test_all_that_an_agent_says_goes_over_one_stream(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        assert "muster.agent.v1" == stream.websocket.subprotocol
        assert {
            "op": "config",
            "server_id": agent.server_id,
            "server_time": "2026-01-02T03:04:05Z",
            "interval_s": 5.0,
            "heartbeat_s": 15.0,
            "rotate": False,
            "window": 8,
            "backfill_per_s": 100,
        } == await stream.shake_hands()
        taken = await stream.ask("metrics", samples=samples(1, 2))
        assert {"op": "ack", "seq": 2, "accepted": 2, "rejected": []} == taken
        assert {"op": "ack", "seq": 3} == await stream.ask("status", healthy=False)
        assert {"op": "ack", "seq": 4} == await stream.ask("status")
        assert SAMPLE | {"seq": 2} == await ingest.record("metrics", agent.server_id)
        assert not (await ingest.record("agents", agent.agent_id))["healthy"]
        assert "online" == (await ingest.record("servers", agent.server_id))["status"]
        assert {"op": "ack", "seq": 5} == await stream.ask("goodbye")
        assert 1000 == (await stream.closed())[0]
    assert "offline" == (await ingest.record("servers", agent.server_id))["status"]
    assert {} == await ingest.deadlines()


async def test_bad_samples_are_told_and_the_others_taken(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        mixed = [*samples(1), {"ts": 7}, {"ts": SAMPLE["ts"]}, *samples(2)[:1], SAMPLE | {"seq": 3, "new": 1}, "x"]
        answer = await stream.ask("metrics", samples=mixed)
        assert (2, 3) == (answer["seq"], answer["accepted"])
        assert [1, 2, 5] == [one["index"] for one in answer["rejected"]]
        assert 3 == (await ingest.versions())["metrics"]


async def test_repeated_samples_count_as_accepted_once(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        for _ in range(3):
            assert 1 == (await stream.ask("metrics", samples=samples(1)))["accepted"]
        assert 1 == (await ingest.versions())["metrics"]


@pytest.mark.parametrize(
    ("message", "code", "named"),
    [
        ({"op": "metrics"}, "invalid", "samples"),
        ({"op": "metrics", "samples": []}, "invalid", "samples"),
        ({"op": "metrics", "samples": 5}, "invalid", "samples"),
        ({"op": "metrics", "samples": [SAMPLE] * 1001}, "too_many_samples", "1001"),
        ({"op": "status", "clients_count": -1}, "invalid", "clients_count"),
        ({"op": "handshake", "boot_id": "no id"}, "invalid", "boot_id"),
        ({"op": "dance"}, "unknown_op", "dance"),
    ],
)
async def test_message_that_cannot_be_taken_is_answered_and_the_stream_goes_on(
    ingest: Ingest, agent: Enrolled, message: dict[str, Any], code: str, named: str
) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        answer = await stream.ask(**message)
        assert ("error", 2, code) == (answer["op"], answer["seq"], answer["code"])
        assert named in answer["message"]
        assert "retry_after_s" not in answer
        assert {"op": "ack", "seq": 3} == await stream.ask("status")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "JSON"),
        ("[]", "op"),
        ('{"seq":1}', "op"),
        ('{"op":"handshake"}', "seq"),
        ('{"op":"handshake","seq":2,"boot_id":"b"}', "seq is to be 1"),
        ('{"op":"handshake","seq":"1","boot_id":"b"}', "seq"),
        ('{"op":"metrics","seq":1,"samples":[]}', "handshake"),
        ('{"op":"handshake","seq":1,"boot_id":' + "[" * 100_000, ""),
        (b'{"op":"handshake","seq":1,"boot_id":"b"}', "text"),
    ],
)
async def test_what_is_no_message_ends_the_stream(
    ingest: Ingest, agent: Enrolled, message: str | bytes, reason: str
) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.websocket.send(message)
        code, told = await stream.closed()
        assert 4400 == code
        assert reason in told


async def test_replayed_number_ends_the_stream(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        await stream.ask("status")
        stream.seq -= 1
        await stream.send("status")
        assert (4400, "seq is to be 3") == await stream.closed()


async def test_message_that_is_too_large_ends_the_stream(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        await stream.websocket.send("x" * 1_000_001)
        assert 1009 == (await stream.closed())[0]


async def test_agent_that_sends_too_much_is_told_to_wait_and_at_last_turned_away(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with (
        replica_of(ingest, samples_per_s=1, samples_at_once=30) as replica,
        replica.stream(agent) as stream,
    ):
        await stream.shake_hands()  # costs 20
        assert "ack" == (await stream.ask("metrics", samples=samples(1, 10)))["op"]
        answer = await stream.ask("metrics", samples=samples(11))
        assert ("error", "too_many_requests", 1.0) == (answer["op"], answer["code"], answer["retry_after_s"])
        ingest.clock.advance(1)
        assert "ack" == (await stream.ask("metrics", samples=samples(11)))["op"]
        for number in range(MAX_REFUSALS):
            await stream.send("metrics", samples=samples(12 + number))
        code, reason = await stream.closed()
        assert (4429, {"retry_after_s": 1.0}) == (code, json.loads(reason))


async def test_size_of_a_message_costs_whatever_is_in_it(ingest: Ingest, agent: Enrolled) -> None:
    async with (
        replica_of(ingest, samples_per_s=1, samples_at_once=1000) as replica,
        replica.stream(agent) as stream,
    ):
        await stream.shake_hands()  # costs 20
        blank = " " * 900_000
        assert "ack" == (await stream.ask("metrics", samples=samples(1), note=blank))["op"]
        assert "ack" == (await stream.ask("status", note=blank))["op"]
        answer = await stream.ask("metrics", samples="not even looked at")
        assert ("error", 4, "too_many_requests") == (answer["op"], answer["seq"], answer["code"])
        assert 800 < answer["retry_after_s"] < 850


async def test_no_more_is_taken_than_the_log_takes(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        for number in range(10 * WINDOW):  # far more than may be unanswered
            await stream.send("metrics", samples=samples(1 + number))
        answers = [await stream.answer() for _ in range(10 * WINDOW)]
        assert list(range(2, 2 + 10 * WINDOW)) == [answer["seq"] for answer in answers]
        assert {"ack"} == {answer["op"] for answer in answers}
        assert 10 * WINDOW == (await ingest.versions())["metrics"]


async def test_agent_that_does_not_read_is_not_read_either(ingest: Ingest, agent: Enrolled) -> None:
    other = await ingest.enrol()
    async with (
        replica_of(ingest, samples_at_once=10**9) as replica,
        replica.stream(agent) as stream,
        replica.stream(other) as others,
    ):
        await stream.shake_hands()
        (served,) = replica.streams._standing - {one for one in replica.streams._standing if not one.hold}
        await others.shake_hands()
        stream.websocket.transport.pause_reading()
        flood = asyncio.create_task(_flood(stream))

        async def is_full() -> bool:
            return not served._peer.wire.writable.is_set()

        await until(is_full)
        taken = served._session._expected_seq
        for _ in range(10):
            assert "ack" == (await others.ask("status"))["op"]
        assert taken == served._session._expected_seq
        assert not flood.done()
        stream.websocket.transport.resume_reading()
        assert list(range(2, taken)) == [(await stream.answer())["seq"] for _ in range(2, taken)]
        flood.cancel()
        await asyncio.wait([flood])


async def _flood(stream: AgentStream) -> None:
    bad = [{"ts": "x"}] * 1000  # each is answered at length
    while True:
        await stream.send("metrics", samples=bad)


async def test_messages_that_wait_are_appended_together_and_each_is_answered(ingest: Ingest, agent: Enrolled) -> None:
    async with (
        replica_of(ingest, samples_per_s=1, samples_at_once=24) as replica,
        replica.stream(agent) as stream,
    ):
        await stream.shake_hands()  # costs 20
        (served,) = replica.streams._standing

        async def first_is_under_way() -> bool:
            return 3 == served._session._expected_seq

        async def others_wait() -> bool:
            return bool(5 == served._peer.wire.queue.qsize())  # type: ignore[attr-defined]  # the real one has it

        async with closed_log(ingest):
            await stream.send("metrics", samples=samples(1))
            await until(first_is_under_way)
            stream.send_at_once(
                {"op": "metrics", "samples": samples(2)},
                {"op": "metrics", "samples": [{"ts": SAMPLE["ts"]}]},  # measures nothing
                {"op": "metrics", "samples": samples(3)},
                {"op": "metrics", "samples": samples(4)},  # more than the agent may send
                {"op": "status"},
            )
            await until(others_wait)
        answers = [await stream.answer() for _ in range(6)]
    assert [2, 3, 4, 5, 6, 7] == [answer["seq"] for answer in answers]
    assert [1, 1, 0, 1] == [answer["accepted"] for answer in answers[:4]]
    assert ["too_many_requests"] * 2 == [answer["code"] for answer in answers[4:]]
    entries = await recent(ingest.redis, Topic(WORKSPACE, "metrics"), entries=1000)
    assert [1, 2] == [len(entry.changes) for entry in entries]


async def test_samples_before_a_goodbye_are_taken(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        stream.send_at_once(
            {"op": "metrics", "samples": samples(1)}, {"op": "metrics", "samples": samples(2)}, {"op": "goodbye"}
        )
        assert [2, 3, 4] == [(await stream.answer())["seq"] for _ in range(3)]
        assert 1000 == (await stream.closed())[0]
    assert 2 == (await ingest.versions())["metrics"]


async def test_closed_log_is_a_reason_to_send_it_again(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        async with closed_log(ingest):
            answer = await stream.ask("metrics", samples=samples(1))
            assert ("error", "log_sealed") == (answer["op"], answer["code"])
            assert answer["retry_after_s"] > 0
        assert "ack" == (await stream.ask("metrics", samples=samples(1)))["op"]


async def test_first_messages_behind_a_handshake_that_must_be_repeated_are_to_be_repeated_too(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with (
        replica_of(ingest, samples_per_s=1, samples_at_once=1) as replica,
        replica.stream(agent) as stream,
    ):
        url = f"http://127.0.0.1:{replica.port}/ingest/v1/metrics"
        async with httpx.AsyncClient(headers=agent.headers) as http:
            assert httpx.codes.ACCEPTED == (await http.post(url, json=SAMPLE)).status_code
        assert "too_many_requests" == (await stream.ask("handshake", boot_id="b"))["code"]
        ingest.clock.advance(1)
        answer = await stream.ask("metrics", samples=samples(1))
        assert ("error", 2) == (answer["op"], answer["seq"])
        assert "handshake" in answer["message"]
        assert answer["retry_after_s"] > 0


async def test_silent_stream_is_ended_and_its_server_not_called_offline_for_that(
    ingest: Ingest, agent: Enrolled, deadline: str
) -> None:
    async with replica_of(ingest) as replica:
        async with replica.stream(agent) as stream:
            await stream.shake_hands(interval_s=5)
            ingest.clock.advance(29)
            assert "ack" == (await stream.ask("status"))["op"]
            ingest.clock.advance(30)
            assert 4408 == (await stream.closed())[0]
        await until(lambda: _is_free(replica))
        assert OFFLINE_AFTER_S * 1000 - 10_000 < (await ingest.deadlines())[deadline]


async def _is_free(replica: Replica) -> bool:
    return not len(replica.streams)


async def test_stream_without_a_handshake_is_ended(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await until(lambda: _has_one(replica))
        ingest.clock.advance(10)
        assert (4408, "no handshake came") == await stream.closed()


async def _has_one(replica: Replica) -> bool:
    return len(replica.streams) == 1


async def test_upgrade_is_refused_with_a_problem(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest, most_streams=1) as replica:
        for headers, subprotocol, status, code in (
            ({}, "muster.agent.v1", 401, "unauthenticated"),
            ({"Authorization": "Bearer nobody's"}, "muster.agent.v1", 401, "unauthenticated"),
            (agent.headers, "muster.agent.v9", 400, "bad_request"),
        ):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    replica.url,
                    subprotocols=[subprotocol],  # type: ignore[list-item]  # a NewType of str
                    additional_headers=headers,
                    proxy=None,
                )
            response = refused.value.response
            assert (status, code) == (response.status_code, json.loads(response.body or b"")["code"])
            assert response.headers["X-Request-Id"]
        async with replica.stream(agent):
            await until(lambda: _has_one(replica))
            with pytest.raises(InvalidStatus) as refused:
                async with replica.stream(agent):
                    pass
            assert (503, "5") == (refused.value.response.status_code, refused.value.response.headers["Retry-After"])
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{replica.port}/ingest/v1/ws")
            assert (426, "websocket") == (answer.status_code, answer.headers["Upgrade"])


async def test_upgrade_is_answered_with_the_id_that_it_was_sent_with(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica:
        sent = {"X-Request-Id": "of-mine"}
        async with connect(replica.url, additional_headers=agent.headers | sent, proxy=None) as websocket:
            assert websocket.response is not None
            assert "of-mine" == websocket.response.headers["X-Request-Id"]
        with pytest.raises(InvalidStatus) as refused:
            await connect(replica.url, additional_headers=sent, proxy=None)
        assert "of-mine" == refused.value.response.headers["X-Request-Id"]


async def test_agent_takes_few_places_before_it_shakes_hands(ingest: Ingest, agent: Enrolled) -> None:
    other = await ingest.enrol()
    async with (
        replica_of(ingest) as replica,
        replica.stream(agent) as first,
        replica.stream(agent),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(replica.url, additional_headers=agent.headers, proxy=None)
        response = refused.value.response
        assert (429, "10") == (response.status_code, response.headers["Retry-After"])
        async with replica.stream(other) as theirs:
            await theirs.shake_hands()
        await first.shake_hands()
        async with replica.stream(agent) as third:
            await third.shake_hands()
            assert 4409 == (await first.closed())[0]


async def test_handshakes_that_are_put_off_cost_something(ingest: Ingest, agent: Enrolled) -> None:
    async with (
        replica_of(ingest, samples_per_s=1, samples_at_once=2) as replica,
        replica.stream(agent) as stream,
    ):
        replica.streams._surroundings.turnstile._passing = MOST_AT_ONCE
        codes = [(await stream.ask("handshake", boot_id="b"))["code"] for _ in range(3)]
        assert ["unavailable", "unavailable", "too_many_requests"] == codes


@pytest.mark.parametrize("more", [{}, {"mood": 1}])
async def test_clock_that_is_ahead_is_noted_once(ingest: Ingest, agent: Enrolled, more: dict[str, int]) -> None:
    async with replica_of(ingest) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        for seq in range(1, 10):
            ingest.clock.advance(5)
            await stream.ask("metrics", samples=[SAMPLE | more | {"seq": seq, "ts": f"2026-01-02T03:06:{5 * seq:02}Z"}])
        assert 115.0 == (await ingest.record("agents", agent.agent_id))["clock_skew_s"]
        entries = await recent(ingest.redis, Topic(WORKSPACE, "agents"), entries=1000)
        assert 3 == len(entries)  # it enrolled, it shook hands, its clock
