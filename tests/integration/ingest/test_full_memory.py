"""A Valkey whose memory is full: agents are told to wait, nothing that was acknowledged is lost, and it goes on."""

from typing import Any

import pytest

from tests.support.ingest import Enrolled, ImpatientLog, Ingest, running_ingest
from tests.support.log import open_log
from tests.support.valkey import ValkeyServer


def sample(seq: int) -> dict[str, Any]:
    return {"ts": "2026-01-02T03:04:05Z", "boot_id": "boot-1", "seq": seq, "cpu_percent": 12.5}


async def used_bytes(ingest: Ingest) -> int:
    return int((await ingest.redis.info("memory"))["used_memory"])


async def taken(ingest: Ingest, agent: Enrolled, first: int) -> int:
    """Send samples until one is not taken; return its number."""
    for seq in range(first, first + 20_000, 100):
        ingest.clock.advance(60)
        answer = await ingest.post("metrics", [sample(seq + n) for n in range(100)], agent)
        if answer.status_code != 202:
            assert (503, True) == (answer.status_code, int(answer.headers["retry-after"]) >= 1), answer.text
            return seq
        assert 100 == answer.json()["accepted"], answer.text
    pytest.fail("its memory was never full")


async def test_full_memory_refuses_and_loses_nothing(private_valkey: ValkeyServer, database_url: str) -> None:
    async with running_ingest(private_valkey.url, database_url, log=ImpatientLog) as ingest:
        await open_log(ingest.redis)
        agent = await ingest.enrol()
        await ingest.redis.config_set("maxmemory", await used_bytes(ingest) + 300_000)
        refused = await taken(ingest, agent, 1)
        before = await ingest.versions()
        assert refused - 1 == (await ingest.record("metrics", agent.server_id))["seq"]
        assert 503 == (await ingest.post("metrics", [sample(refused)], agent)).status_code
        assert before == await ingest.versions()

        await ingest.redis.config_set("maxmemory", 0)
        ingest.clock.advance(60)
        answer = await ingest.post("metrics", [sample(refused + n) for n in range(100)], agent)
        assert (202, 100) == (answer.status_code, answer.json()["accepted"])
        assert refused + 99 == (await ingest.record("metrics", agent.server_id))["seq"]
