"""Samples: what is acknowledged is in the log once, and good ones are kept when others are bad."""

import asyncio
from typing import Any

import msgspec
import pytest

from shared.change import ChangeSet
from shared.names import Topic
from shared.operation import Draft, Operation
from tests.support.ingest import WORKSPACE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log, recent

METRICS = Topic(WORKSPACE, "metrics")
TS = "2026-01-02T03:04:05Z"


def sample(seq: int, **fields: object) -> dict[str, object]:
    return {"ts": TS, "boot_id": "boot-1", "seq": seq, "cpu_percent": 12.5, **fields}


async def logged(ingest: Ingest) -> list[ChangeSet]:
    return await recent(ingest.redis, METRICS, entries=1000)


async def logged_seqs(ingest: Ingest) -> list[int]:
    changes = [change for entry in await logged(ingest) for change in entry.changes if change.data]
    return [msgspec.json.decode(change.data)["seq"] for change in changes if change.data]


async def test_one_sample_becomes_the_latest_of_its_server(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("metrics", sample(1, mem_used=5), agent)
    assert (202, {"accepted": 1, "rejected": []}) == (answer.status_code, answer.json())
    assert sample(1, mem_used=5) == await ingest.record("metrics", agent.server_id)


async def test_array_goes_into_the_log_in_one_entry(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("metrics", [sample(seq) for seq in range(1, 1001)], agent)
    assert {"accepted": 1000, "rejected": []} == answer.json()
    assert [1000] == [len(entry.changes) for entry in await logged(ingest)]


async def test_what_is_sent_again_is_accepted_and_stored_once(ingest: Ingest, agent: Enrolled) -> None:
    for _ in range(2):
        answer = await ingest.post("metrics", [sample(1), sample(2)], agent)
        assert {"accepted": 2, "rejected": []} == answer.json()
    assert {"accepted": 3, "rejected": []} == (
        await ingest.post("metrics", [sample(n) for n in (1, 2, 3)], agent)
    ).json()
    assert [1, 2, 3] == await logged_seqs(ingest)


async def test_samples_of_another_start_of_the_agent_are_others(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("metrics", sample(1), agent)
    await ingest.post("metrics", sample(1, boot_id="boot-2"), agent)
    assert [1, 1] == await logged_seqs(ingest)


async def test_array_in_any_order_loses_nothing(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("metrics", [sample(3), sample(1), sample(2)], agent)
    assert [1, 2, 3] == await logged_seqs(ingest)


async def test_samples_without_an_identity_are_all_taken(ingest: Ingest, agent: Enrolled) -> None:
    anonymous = {"ts": TS, "cpu_percent": 1}
    await ingest.post("metrics", [anonymous, anonymous], agent)
    assert 2 == (await ingest.versions())["metrics"]


async def test_good_samples_are_kept_when_others_are_bad(ingest: Ingest, agent: Enrolled) -> None:
    bad: list[Any] = [sample(2, cpu_percent="12"), 5, {"ts": TS}, {"cpu_percent": 1}, sample(3, cpu_percent=101)]
    answer = await ingest.post("metrics", [sample(1), *bad, sample(4)], agent)
    assert (202, 2) == (answer.status_code, answer.json()["accepted"])
    assert [1, 2, 3, 4, 5] == [rejected["index"] for rejected in answer.json()["rejected"]]
    assert {"invalid_sample"} == {rejected["code"] for rejected in answer.json()["rejected"]}
    assert "cpu_percent" in answer.json()["rejected"][0]["message"]
    assert [1, 4] == await logged_seqs(ingest)


async def test_sample_from_the_future_gets_the_time_of_the_server(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("metrics", sample(1, ts="2026-01-02T03:09:05Z"), agent)
    assert "2026-01-02T03:09:05Z" == (await ingest.record("metrics", agent.server_id))["ts"]
    await ingest.post("metrics", sample(2, ts="2026-01-02T03:09:06Z"), agent)
    assert TS == (await ingest.record("metrics", agent.server_id))["ts"]


async def test_unknown_fields_are_not_stored(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("metrics", sample(1, server_id="s_other", evil="x" * 100), agent)
    assert {"accepted": 1, "rejected": []} == answer.json()
    assert sample(1) == await ingest.record("metrics", agent.server_id)


async def test_agent_cannot_write_for_another_server(ingest: Ingest, agent: Enrolled) -> None:
    other = await ingest.enrol()
    await ingest.post("metrics", sample(1, id=other.server_id, server_id=other.server_id), agent)
    assert await ingest.record("metrics", other.server_id) is None


async def test_every_message_is_noted_for_the_sweeper(ingest: Ingest, agent: Enrolled) -> None:
    ingest.beacon.heard = False
    await ingest.post("metrics", sample(1), agent)
    assert ingest.beacon.heard


async def test_server_whose_record_was_removed_is_unknown(ingest: Ingest, agent: Enrolled) -> None:
    draft = Draft(id=agent.server_id, action="delete")
    await ingest.log.append(Operation(topic=Topic(WORKSPACE, "servers"), drafts=(draft,), actor="test"))
    for body in (sample(1), [sample(1), sample(2)]):
        answer = await ingest.post("metrics", body, agent)
        assert (404, "unknown_server") == (answer.status_code, answer.json()["code"])
    assert await ingest.record("metrics", agent.server_id) is None


async def test_sealed_log_is_a_503_and_the_sample_can_be_sent_again(sealed_ingest: Ingest) -> None:
    agent = await sealed_ingest.enrol()
    answer = await sealed_ingest.post("metrics", sample(1), agent)
    assert (503, "log_sealed", "1") == (answer.status_code, answer.json()["code"], answer.headers["retry-after"])
    await open_log(sealed_ingest.redis)
    await sealed_ingest.post("handshake", {"boot_id": "boot-1"}, agent)
    assert 202 == (await sealed_ingest.post("metrics", sample(1), agent)).status_code


async def test_agent_that_sends_too_much_has_to_wait(redis_url: str, database_url: str) -> None:
    async with running_ingest(redis_url, database_url, samples_per_s=10, samples_at_once=20) as ingest:
        await open_log(ingest.redis)
        agent, other = await ingest.enrol(), await ingest.enrol()
        assert 202 == (await ingest.post("metrics", [sample(n) for n in range(1, 21)], agent)).status_code
        refused = await ingest.post("metrics", sample(21), agent)
        assert (429, "too_many_requests") == (refused.status_code, refused.json()["code"])
        assert "1" == refused.headers["retry-after"]
        assert 202 == (await ingest.post("metrics", sample(1), other)).status_code
        ingest.clock.advance(1)
        assert 202 == (await ingest.post("metrics", sample(21), agent)).status_code


async def test_requests_at_once_share_entries_of_the_log(ingest: Ingest) -> None:
    agents = [await ingest.enrol() for _ in range(20)]
    answers = await asyncio.gather(*(ingest.post("metrics", sample(1), agent) for agent in agents))
    assert [202] * 20 == [answer.status_code for answer in answers]
    entries = await logged(ingest)
    assert 20 == sum(len(entry.changes) for entry in entries)
    assert len(entries) < 20


@pytest.mark.parametrize("seconds", [4.9, 5.1])
async def test_revoked_credential_is_refused_within_seconds(ingest: Ingest, agent: Enrolled, seconds: float) -> None:
    await ingest.post("metrics", sample(1), agent)
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now()")
    ingest.clock.advance(seconds)
    answer = await ingest.post("metrics", sample(2), agent)
    assert (202 if seconds < 5 else 401) == answer.status_code
    for path in ("handshake", "status", "disconnect"):
        refused = await ingest.post(path, {"boot_id": "b"}, agent)
        if seconds > 5 or path == "handshake":
            assert (401, "credential_revoked") == (refused.status_code, refused.json()["code"])
