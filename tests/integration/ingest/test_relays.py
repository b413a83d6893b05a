"""Relays: one sender for the agents of its workspace, and for no others, of whom it learns nothing."""

import gzip
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from services.ingest.relays import Address, Relay, Relays
from shared.io.identity_changes import AgentChanges
from shared.names import Topic
from shared.operation import Draft, Operation
from tests.support.agent_stream import Replica, replica_of, until
from tests.support.ingest import WORKSPACE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log

TOKEN = "mr_the-token-of-our-relay"
OTHER = "w_other"
NOBODYS = "there is no such server, or this relay may not send for it"


def sample(seq: int, **fields: object) -> dict[str, object]:
    return {"ts": "2026-01-02T03:04:05Z", "boot_id": "boot-1", "seq": seq, "cpu_percent": 12.5, **fields}


async def add_relay(ingest: Ingest, token: str, workspace: str = WORKSPACE, expires_at: datetime | None = None) -> None:
    await ingest.pool.execute(
        "INSERT INTO relays (id, workspace_id, name, token_hash, expires_at) VALUES ('r_' || $1, $2, 'test', $3, $4)",
        token[:40],
        workspace,
        sha256(token.encode()).digest(),
        expires_at,
    )


async def relay(ingest: Ingest, body: object, token: str = TOKEN, **headers: str) -> httpx.Response:
    return await ingest.post("metrics", body, headers={"Authorization": f"Bearer {token}", **headers})


@pytest_asyncio.fixture
async def agents(ingest: Ingest) -> list[Enrolled]:
    """Give three agents, and a relay that may send for them."""
    await add_relay(ingest, TOKEN)
    return [await ingest.enrol() for _ in range(3)]


@pytest_asyncio.fixture
async def foreign(ingest: Ingest) -> Enrolled:
    """Give an agent of another workspace, whose relay may send for it."""
    await ingest.pool.execute("INSERT INTO workspaces (id, name) VALUES ($1, 'Theirs')", OTHER)
    await ingest.pool.execute(
        "INSERT INTO agent_credentials (agent_id, workspace_id, server_id, secret_hash, name, hostname, machine_id)"
        " VALUES ('a_theirs', $1, 's_theirs', $2, '', '', '')",
        OTHER,
        sha256(b"their secret").digest(),
    )
    return Enrolled("a_theirs", "their secret", "s_theirs", OTHER)


async def test_each_sample_goes_to_its_server(ingest: Ingest, agents: list[Enrolled]) -> None:
    first, second, third = agents
    body = [
        sample(1, server_id=first.server_id),
        sample(1, agent_id=second.agent_id, load1=2),
        sample(2, server_id=first.server_id),
        sample(1, server_id=third.server_id, agent_id=third.agent_id),
    ]
    answer = await relay(ingest, body)
    assert (202, {"accepted": 4, "rejected": []}) == (answer.status_code, answer.json())
    assert sample(2) == await ingest.record("metrics", first.server_id)
    assert sample(1, load1=2) == await ingest.record("metrics", second.server_id)
    assert sample(1) == await ingest.record("metrics", third.server_id)
    assert {f"{WORKSPACE}:{agent.server_id}" for agent in agents} <= set(await ingest.deadlines())


async def test_what_a_relay_sends_again_counts_once(ingest: Ingest, agents: list[Enrolled]) -> None:
    for _ in range(2):
        assert 3 == (await relay(ingest, [sample(1, server_id=agent.server_id) for agent in agents])).json()["accepted"]
    assert 3 == (await ingest.versions())["metrics"]


async def test_relay_sends_one_sample_or_lines_or_encoded_ones(ingest: Ingest, agents: list[Enrolled]) -> None:
    ours = agents[0].server_id
    assert 1 == (await relay(ingest, sample(1, server_id=ours))).json()["accepted"]
    lines = b"\n".join(msgspec.json.encode(sample(seq, server_id=ours)) for seq in (2, 3))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert 2 == (await relay(ingest, gzip.compress(lines), **headers)).json()["accepted"]
    assert sample(3) == await ingest.record("metrics", ours)


async def test_agents_of_others_and_of_nobody_are_answered_for_alike(
    ingest: Ingest, agents: list[Enrolled], foreign: Enrolled
) -> None:
    revoked = agents[1]
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now() WHERE agent_id = $1", revoked.agent_id)
    ours = agents[0]
    names: list[dict[str, object]] = [
        {"server_id": foreign.server_id},
        {"agent_id": foreign.agent_id},
        {"server_id": "s_nowhere"},
        {"agent_id": "a_nobody"},
        {"server_id": ours.agent_id},
        {"agent_id": ours.server_id},
        {"server_id": revoked.server_id},
        {"server_id": ours.server_id, "agent_id": agents[2].agent_id},
        {"server_id": ours.server_id, "agent_id": foreign.agent_id},
        {"server_id": ""},
        {"server_id": "nul\x00"},
        {"server_id": "x" * 10_000},
    ]
    answer = await relay(ingest, [sample(1, **name) for name in names] + [sample(1, server_id=ours.server_id)])
    rejected = answer.json()["rejected"]
    assert (202, 1) == (answer.status_code, answer.json()["accepted"])
    assert list(range(len(names))) == [each["index"] for each in rejected]
    assert {("unknown_server", NOBODYS)} == {(each["code"], each["message"]) for each in rejected}
    assert await ingest.record("metrics", revoked.server_id) is None
    assert sample(1) == await ingest.record("metrics", ours.server_id)


async def test_agents_of_another_workspace_are_not_even_found(
    ingest: Ingest, agents: list[Enrolled], foreign: Enrolled
) -> None:
    relays = Relays(ingest.pool, now=ingest.clock.now)
    ours = agents[0]
    addresses = [
        Address("server", ours.server_id),
        Address("agent", ours.agent_id),
        Address("server", foreign.server_id),
        Address("agent", foreign.agent_id),
    ]
    found = await relays.agents(Relay("r_1", WORKSPACE, None), addresses)
    assert dict.fromkeys(addresses[:2], (ours.agent_id, ours.server_id)) == {
        address: (agent.agent_id, agent.server_id) for address, agent in found.items()
    }
    found = await relays.agents(Relay("r_2", OTHER, None), addresses)
    assert addresses[2:] == [*found]


async def test_relays_of_two_workspaces_do_not_meet(ingest: Ingest, agents: list[Enrolled], foreign: Enrolled) -> None:
    await add_relay(ingest, "mr_theirs", OTHER)
    body = [sample(1, server_id=agents[0].server_id), sample(1, server_id=foreign.server_id)]
    assert [1] == [each["index"] for each in (await relay(ingest, body)).json()["rejected"]]
    theirs = await relay(ingest, body, "mr_theirs")
    assert 0 in [each["index"] for each in theirs.json()["rejected"]]


async def test_server_whose_record_was_removed_is_told_like_one_that_never_was(
    ingest: Ingest, agents: list[Enrolled]
) -> None:
    draft = Draft(id=agents[0].server_id, action="delete")
    await ingest.log.append(Operation(topic=Topic(WORKSPACE, "servers"), drafts=(draft,), actor="test"))
    answer = await relay(ingest, [sample(1, server_id=agent.server_id) for agent in agents])
    expected: list[Any] = [{"index": 0, "code": "unknown_server", "message": NOBODYS}]
    assert {"accepted": 2, "rejected": expected} == answer.json()


async def test_bad_samples_are_told_by_their_place_in_the_request(ingest: Ingest, agents: list[Enrolled]) -> None:
    first, second = agents[0].server_id, agents[1].server_id
    body = [
        sample(1, server_id=first),
        sample(2, server_id=second, load1=-1),
        sample(3),
        5,
        {"server_id": second},
        sample(1, server_id=second),
        sample(2, server_id=7),
    ]
    answer = await relay(ingest, body)
    assert (202, 2) == (answer.status_code, answer.json()["accepted"])
    rejected = answer.json()["rejected"]
    assert [1, 2, 3, 4, 6] == [each["index"] for each in rejected]
    assert {"invalid_sample"} == {each["code"] for each in rejected}
    assert ["load1", "server_id", "server_id"] == [rejected[place]["message"].split(":")[0] for place in (0, 1, 4)]


async def test_agent_that_names_another_sends_for_itself(
    ingest: Ingest, agents: list[Enrolled], foreign: Enrolled
) -> None:
    for name in (agents[1], foreign):
        body = sample(1, server_id=name.server_id, agent_id=name.agent_id)
        assert 1 == (await ingest.post("metrics", body, agents[0])).json()["accepted"]
        assert await ingest.record("metrics", name.server_id) is None
    assert sample(1) == await ingest.record("metrics", agents[0].server_id)


@pytest.mark.parametrize("path", ["handshake", "status", "disconnect"])
async def test_relay_does_nothing_but_send_samples(ingest: Ingest, agents: list[Enrolled], path: str) -> None:
    answer = await ingest.post(path, {"boot_id": "b"}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert agents
    assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])


async def test_unknown_expired_and_removed_relays_are_refused(ingest: Ingest, agents: list[Enrolled]) -> None:
    body = sample(1, server_id=agents[0].server_id)
    await add_relay(ingest, "mr_over", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    for token in ("mr_unknown", "mr_over", "mr_"):
        answer = await relay(ingest, body, token)
        assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
    assert 202 == (await relay(ingest, body)).status_code
    await ingest.pool.execute("DELETE FROM relays")
    ingest.clock.advance(5)
    assert 401 == (await relay(ingest, body)).status_code


async def test_use_is_noted_of_a_relay_that_is_not_over_only(ingest: Ingest, agents: list[Enrolled]) -> None:
    await add_relay(ingest, "mr_over", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    for token in ("mr_over", TOKEN):
        await relay(ingest, sample(1, server_id=agents[0].server_id), token)
    used = await ingest.pool.fetch("SELECT id FROM relays WHERE last_used_at IS NOT NULL")
    assert [f"r_{TOKEN}"] == [row["id"] for row in used]


async def test_relay_ends_at_its_time_although_it_is_remembered(ingest: Ingest, agents: list[Enrolled]) -> None:
    body = sample(1, server_id=agents[0].server_id)
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    await add_relay(ingest, "mr_soon", expires_at=ends_at)
    ingest.clock.time_of_day = ends_at - timedelta(seconds=1)
    assert 202 == (await relay(ingest, body, "mr_soon")).status_code
    ingest.clock.time_of_day = ends_at
    assert 401 == (await relay(ingest, body, "mr_soon")).status_code


async def test_secret_of_an_agent_that_looks_like_a_relays_is_an_agents(ingest: Ingest, agents: list[Enrolled]) -> None:
    secret = "mr_looks-like-it"
    await ingest.pool.execute(
        "UPDATE agent_credentials SET secret_hash = $1 WHERE agent_id = $2",
        sha256(secret.encode()).digest(),
        agents[0].agent_id,
    )
    assert 1 == (await relay(ingest, sample(1), secret)).json()["accepted"]


async def test_use_of_a_relay_is_noted(ingest: Ingest, agents: list[Enrolled]) -> None:
    assert await ingest.pool.fetchval("SELECT last_used_at FROM relays") is None
    await relay(ingest, sample(1, server_id=agents[0].server_id))
    assert await ingest.pool.fetchval("SELECT last_used_at FROM relays") is not None


async def test_relay_that_sends_too_much_waits_and_its_agents_do_not(redis_url: str, database_url: str) -> None:
    async with running_ingest(redis_url, database_url, relay_samples_per_s=10, relay_samples_at_once=20) as ingest:
        await open_log(ingest.redis)
        await add_relay(ingest, TOKEN)
        agents = [await ingest.enrol() for _ in range(3)]
        body = [sample(seq, server_id=agent.server_id) for agent in agents[:2] for seq in range(1, 11)]
        assert 202 == (await relay(ingest, body)).status_code
        refused = await relay(ingest, sample(11, server_id=agents[2].server_id))
        assert (429, "too_many_requests") == (refused.status_code, refused.json()["code"])
        assert "1" == refused.headers["retry-after"]
        assert 202 == (await ingest.post("metrics", sample(1), agents[2])).status_code


async def test_agent_that_has_sent_too_much_keeps_no_other_of_its_relay_waiting(
    redis_url: str, database_url: str
) -> None:
    async with running_ingest(redis_url, database_url, samples_per_s=10, samples_at_once=20) as ingest:
        await open_log(ingest.redis)
        await add_relay(ingest, TOKEN)
        busy, other = await ingest.enrol(), await ingest.enrol()
        assert 202 == (await ingest.post("metrics", [sample(seq) for seq in range(1, 41)], busy)).status_code
        nameless = {"ts": "2026-01-02T03:04:05Z", "load1": 1.0}
        body = [nameless | {"server_id": agent.server_id} for agent in (busy, other, busy)]
        answer = await relay(ingest, body)
        assert (202, 1) == (answer.status_code, answer.json()["accepted"])
        assert [(0, "too_many_requests"), (2, "too_many_requests")] == [
            (each["index"], each["code"]) for each in answer.json()["rejected"]
        ]
        assert "again in 2" in answer.json()["rejected"][0]["message"]
        ingest.clock.advance(2.5)
        assert 2 == (await relay(ingest, [body[0], body[2]])).json()["accepted"]


async def test_sealed_log_is_a_503_to_a_relay(sealed_ingest: Ingest) -> None:
    await add_relay(sealed_ingest, TOKEN)
    agent = await sealed_ingest.enrol()
    answer = await relay(sealed_ingest, sample(1, server_id=agent.server_id))
    assert (503, "log_sealed") == (answer.status_code, answer.json()["code"])


async def test_more_samples_than_are_taken(ingest: Ingest, agents: list[Enrolled]) -> None:
    answer = await relay(ingest, [sample(1, server_id=agents[0].server_id)] * 1001)
    assert (413, "too_many_samples") == (answer.status_code, answer.json()["code"])


async def _unheard(_: frozenset[str] | None) -> None:
    """Stand for a process that heeds nothing."""


async def relay_to(replica: Replica, body: object) -> httpx.Response:
    url = f"http://127.0.0.1:{replica.port}/ingest/v1/metrics"
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"})


async def test_every_replica_hears_that_a_relay_was_deleted(ingest: Ingest, agents: list[Enrolled]) -> None:
    body = [sample(1, server_id=agents[0].server_id)]
    async with replica_of(ingest) as first, replica_of(ingest) as second:
        for replica in (first, second):
            assert 202 == (await relay_to(replica, body)).status_code
        relay_id = await ingest.pool.fetchval("DELETE FROM relays RETURNING id")
        await AgentChanges(ingest.redis, _unheard).announce([relay_id])

        async def all_refuse() -> bool:  # by their clock, not a moment has passed
            return [401, 401] == [(await relay_to(replica, body)).status_code for replica in (first, second)]

        await until(all_refuse)


async def test_relay_cannot_send_any_more_for_an_agent_that_was_revoked(ingest: Ingest, agents: list[Enrolled]) -> None:
    revoked, other = agents[:2]
    body = [sample(1, agent_id=revoked.agent_id), sample(1, server_id=revoked.server_id), sample(1, **_by_id(other))]
    async with replica_of(ingest) as replica:
        assert 3 == (await relay_to(replica, body)).json()["accepted"]
        await ingest.pool.execute(
            "UPDATE agent_credentials SET revoked_at = now() WHERE agent_id = $1", revoked.agent_id
        )
        await AgentChanges(ingest.redis, _unheard).announce([revoked.agent_id])

        async def is_refused() -> bool:
            return [0, 1] == [each["index"] for each in (await relay_to(replica, body)).json()["rejected"]]

        await until(is_refused)


def _by_id(agent: Enrolled) -> dict[str, object]:
    return {"server_id": agent.server_id, "agent_id": agent.agent_id}
