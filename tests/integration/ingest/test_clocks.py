"""How far the clocks of agents are ahead is noted from what they send over HTTP, by whichever replica hears of them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.names import Topic
from tests.support.ingest import HANDSHAKE, WORKSPACE, Enrolled, Ingest
from tests.support.log import recent

SAMPLE: dict[str, Any] = {"ts": "2026-01-02T03:04:05Z", "boot_id": HANDSHAKE["boot_id"], "seq": 1, "cpu_percent": 12.5}


@pytest.mark.parametrize("body", ["one", "array", "lines", "unknown field"])
async def test_clock_that_is_ahead_is_noted_from_samples_over_http(ingest: Ingest, agent: Enrolled, body: str) -> None:
    await ingest.post("handshake", HANDSHAKE, agent)
    for seq in range(1, 5):
        ingest.clock.advance(5)
        one = SAMPLE | {"seq": seq, "ts": (ingest.clock.now() + timedelta(hours=1)).isoformat()}
        content, headers = told_as(body, one)
        assert 202 == (await ingest.post("metrics", content, agent, headers)).status_code
    assert 3600.0 == (await ingest.record("agents", agent.agent_id))["clock_skew_s"]
    assert 3 == len(await recent(ingest.redis, Topic(WORKSPACE, "agents"), entries=1000))


def told_as(body: str, one: dict[str, Any]) -> tuple[object, dict[str, str]]:
    if body == "array":
        return [one], {}
    if body == "lines":
        return json.dumps(one).encode(), {"Content-Type": "application/x-ndjson"}
    return (one | {"mood": 1} if body == "unknown field" else one), {}


async def test_clock_that_was_set_right_is_noted_by_a_replica_that_knows_nothing_of_the_agent(
    ingest: Ingest, agent: Enrolled
) -> None:
    await ingest.post("handshake", {**HANDSHAKE, "ts": "2026-01-02T04:04:05Z"}, agent)
    assert 3600.0 == (await ingest.record("agents", agent.agent_id))["clock_skew_s"]
    for seq in range(1, 5):
        ingest.clock.advance(5)
        await ingest.post("metrics", SAMPLE | {"seq": seq, "ts": ingest.clock.now().isoformat()}, agent)
    assert 0.0 == (await ingest.record("agents", agent.agent_id))["clock_skew_s"]


async def test_samples_of_an_outage_tell_nothing_of_the_clock(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("metrics", SAMPLE | {"boot_id": "before", "seq": 1}, agent)
    await ingest.post("handshake", HANDSHAKE, agent)
    now = ingest.clock.now()
    await ingest.post("metrics", SAMPLE | {"seq": 100, "ts": now.isoformat()}, agent)
    for seq in range(2, 12):
        ingest.clock.advance(5)
        for boot_id in ("before", SAMPLE["boot_id"]):
            await ingest.post("metrics", SAMPLE | {"boot_id": boot_id, "seq": seq, "ts": "2026-01-02T02:00:00Z"}, agent)
    assert (await ingest.record("agents", agent.agent_id)).get("clock_skew_s") is None
