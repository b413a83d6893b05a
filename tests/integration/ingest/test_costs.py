"""What an agent sends costs by what it is, at every door; who owes something has to make it good first."""

import gzip
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.ingest.account import RECORD_COST
from tests.support.agent_stream import replica_of
from tests.support.ingest import HANDSHAKE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log

SAMPLE = {"ts": "2026-01-02T03:04:05Z", "cpu_percent": 12.5}
AT_ONCE = 3 * RECORD_COST


@pytest_asyncio.fixture
async def strict(redis_url: str, database_url: str) -> AsyncIterator[Ingest]:
    """Give ingest in which an agent may do little at once, and one thing a second."""
    async with running_ingest(redis_url, database_url, samples_per_s=1, samples_at_once=AT_ONCE) as ingest:
        await open_log(ingest.redis)
        yield ingest


async def refused(ingest: Ingest, agent: Enrolled, path: str = "metrics", body: object = SAMPLE) -> int:
    answer = await ingest.post(path, body, agent)
    assert (429, "too_many_requests") == (answer.status_code, answer.json()["code"])
    return int(answer.headers["retry-after"])


@pytest.mark.parametrize(
    ("path", "body"),
    [("handshake", HANDSHAKE), ("status", {"healthy": True}), ("disconnect", b""), ("rotate", b"")],
)
async def test_what_is_written_into_records_costs_the_same_over_http_as_over_the_stream(
    strict: Ingest, path: str, body: object
) -> None:
    agent, other = await strict.enrol(), await strict.enrol()
    for _ in range(3):
        assert (await strict.post(path, body, agent)).is_success
    assert 1 == await refused(strict, agent, path, body)
    assert (await strict.post(path, body, other)).is_success
    strict.clock.advance(1)
    assert (await strict.post(path, body, agent)).is_success
    assert RECORD_COST == await refused(strict, agent, path, body)


async def test_sign_of_life_costs_as_much_as_a_sample(strict: Ingest) -> None:
    agent = await strict.enrol()
    for _ in range(AT_ONCE):
        assert 202 == (await strict.post("status", {}, agent)).status_code
    assert 1 == await refused(strict, agent, "status", {})


@pytest.mark.parametrize("path", ["metrics", "handshake", "status"])
async def test_each_thousand_bytes_cost_as_much_as_a_sample_whatever_is_in_them(strict: Ingest, path: str) -> None:
    agent = await strict.enrol()
    answer = await strict.post(path, b" " * 50_000 + b"5", agent)
    assert 422 == answer.status_code
    for _ in range(AT_ONCE - 51):
        assert 202 == (await strict.post("metrics", SAMPLE, agent)).status_code
    assert 1 == await refused(strict, agent)


@pytest.mark.parametrize("door", ["v1/metrics", "otlp/v1/metrics", "prometheus/write"])
async def test_who_owes_something_is_refused_before_the_body_is_read(strict: Ingest, door: str) -> None:
    agent = await strict.enrol()
    await strict.post("metrics", [SAMPLE] * 100, agent)
    is_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal is_read
        is_read = True
        yield b"x"

    encoding = "snappy" if "prometheus" in door else "gzip"
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": encoding, **agent.headers}
    answer = await strict.http.post(f"/ingest/{door}", content=body(), headers=headers)
    assert (429, "45") == (answer.status_code, answer.headers["retry-after"])
    assert not is_read


@pytest.mark.parametrize("end", [b"", b"no gzip"])
async def test_decoding_is_paid_for_although_it_was_for_nothing(strict: Ingest, end: bytes) -> None:
    agent = await strict.enrol()
    body = gzip.compress(b" " * 400_000) + end
    answer = await strict.post("metrics", body, agent, {"Content-Encoding": "gzip"})
    assert 400 == answer.status_code
    assert 300 < await refused(strict, agent)


async def test_array_is_taken_whole_and_what_it_cost_is_waited_for(strict: Ingest) -> None:
    agent = await strict.enrol()
    for _ in range(2):
        assert 200 == (await strict.post("metrics", [SAMPLE] * 200, agent)).json()["accepted"]
        wait_s = await refused(strict, agent)
        assert 149 < wait_s < 225
        strict.clock.advance(wait_s + 1)


async def test_largest_request_of_all_is_within_what_is_allowed_by_default(ingest: Ingest, agent: Enrolled) -> None:
    line = gzip.compress((b'{"ts":"2026-01-02T03:04:05Z","load1":1}' + b" " * 3_900 + b"\n") * 1000)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    answer = await ingest.post("metrics", line, agent, headers)
    assert (202, 1000) == (answer.status_code, answer.json()["accepted"])
    assert 202 == (await ingest.post("metrics", SAMPLE, agent)).status_code


async def test_outage_is_made_up_for_at_the_pace_that_agents_are_told(ingest: Ingest, agent: Enrolled) -> None:
    missed = [SAMPLE | {"boot_id": "b", "seq": 0, "top_processes": [{"name": "x" * 190}] * 15}] * 100
    for second in range(60):
        batch = [sample | {"seq": 100 * second + n} for n, sample in enumerate(missed, 1)]
        assert 100 == (await ingest.post("metrics", batch, agent)).json()["accepted"]
        assert 202 == (await ingest.post("metrics", SAMPLE, agent)).status_code
        ingest.clock.advance(1)


async def test_message_of_a_stream_costs_by_its_bytes_not_its_characters(ingest: Ingest, agent: Enrolled) -> None:
    settings = {"samples_per_s": 1, "samples_at_once": AT_ONCE}
    async with replica_of(ingest, **settings) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        stream.seq += 1
        message = {"op": "status", "seq": stream.seq, "unknown": 15_000 * "\N{EURO SIGN}"}
        await stream.websocket.send(json.dumps(message, ensure_ascii=False))
        await stream.answer()
        refused = await stream.ask("status")
        assert ("error", "too_many_requests") == (refused["op"], refused["code"])


async def test_who_owes_something_may_still_say_goodbye_over_its_stream(strict: Ingest) -> None:
    agent = await strict.enrol()
    async with replica_of(strict) as replica, replica.stream(agent) as stream:
        await stream.shake_hands()
        while "ack" == (await stream.ask("status", healthy=True))["op"]:
            pass
        assert "ack" == (await stream.ask("goodbye"))["op"]
        assert 1000 == (await stream.closed())[0]
    assert "offline" == (await strict.record("servers", agent.server_id))["status"]
