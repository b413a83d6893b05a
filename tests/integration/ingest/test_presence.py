"""Servers go online and offline as their agents come and go; what people wrote of them stays."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from services.ingest.presence import Presence
from services.ingest.registrations import Registrations
from shared.names import PartitionKeys, Topic, deadline_of, held_deadline_of, partition_of
from shared.operation import Deadline, Draft, Operation
from tests.support.ingest import (
    HANDSHAKE,
    MACHINE,
    OFFLINE_AFTER_S,
    WORKSPACE,
    ContestedLog,
    Enrolled,
    Ingest,
    running_ingest,
)
from tests.support.log import open_log

SERVERS = Topic(WORKSPACE, "servers")
NOW = "2026-01-02T03:04:05Z"
LATER = "2026-01-02T03:05:05Z"


async def edit(ingest: Ingest, agent: Enrolled, *deadlines: Deadline, **fields: object) -> None:
    """Change a server's record as a person or the sweeper would."""
    record = await ingest.record("servers", agent.server_id) | fields
    draft = Draft(id=agent.server_id, action="update", data=msgspec.json.encode(record))
    await ingest.log.append(Operation(topic=SERVERS, drafts=(draft,), actor="test", deadlines=deadlines))


@pytest_asyncio.fixture
async def contested(redis_url: str, database_url: str) -> AsyncIterator[Ingest]:
    """Give ingest with an open log, in which others may be faster."""
    async with running_ingest(redis_url, database_url, log=ContestedLog) as ingest:
        await open_log(ingest.redis)
        yield ingest


def let_happen(ingest: Ingest, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Let this happen after the next message has read the records, and before it changes them."""
    assert isinstance(ingest.log, ContestedLog)
    ingest.log.meanwhile = meanwhile


async def hold_back(ingest: Ingest, agent: Enrolled) -> None:
    """Do what the sweeper does with a server that it holds back."""
    drop = Deadline("drop", deadline_of(WORKSPACE, agent.server_id))
    hold = Deadline("arm", held_deadline_of(WORKSPACE, agent.server_id), 300_000)
    await edit(ingest, agent, drop, hold, status="unknown")


def assert_expected_to_be_heard(deadlines: dict[str, int], agent: Enrolled) -> None:
    assert [deadline_of(WORKSPACE, agent.server_id)] == list(deadlines)
    assert 0 <= OFFLINE_AFTER_S * 1000 - deadlines[deadline_of(WORKSPACE, agent.server_id)] < 10_000


async def test_handshake_says_what_the_machine_is(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("handshake", HANDSHAKE, agent)
    answered = {"server_id": agent.server_id, "server_time": NOW, "interval_s": 5.0, "rotate": False}
    assert answered == answer.json()
    server = await ingest.record("servers", agent.server_id)
    told = {"os": HANDSHAKE["os"], "agent_version": "1.2.3", "status": "online", "last_seen": NOW, **MACHINE}
    assert told.items() <= server.items()
    registration = await ingest.record("agents", agent.agent_id)
    assert ("1.2.3", NOW) == (registration["agent_version"], registration["last_heartbeat"])
    assert_expected_to_be_heard(await ingest.deadlines(), agent)


async def test_interval_is_bounded_so_that_lost_samples_do_not_mean_offline(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("handshake", {**HANDSHAKE, "interval_s": 3600}, agent)
    assert OFFLINE_AFTER_S / 4 == answer.json()["interval_s"]


async def test_handshake_that_says_nothing_new_leaves_the_server_alone(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("handshake", HANDSHAKE, agent)
    before = await ingest.versions()
    ingest.clock.advance(60)
    await ingest.post("handshake", HANDSHAKE, agent)
    after = await ingest.versions()
    assert before["servers"] == after["servers"]
    assert before["agents"] + 1 == after["agents"]


async def test_handshake_keeps_what_people_wrote(ingest: Ingest, agent: Enrolled) -> None:
    written: dict[str, Any] = {"name": "Mail", "tags": ["db"], "groups": ["x"], "notes": "rack 4", "hidden": True}
    await edit(ingest, agent, **written)
    await ingest.post("handshake", HANDSHAKE, agent)
    server = await ingest.record("servers", agent.server_id)
    assert written.items() <= server.items()
    assert "1.2.3" == server["agent_version"]


@pytest.mark.parametrize(("path", "status"), [("handshake", "online"), ("disconnect", "offline")])
async def test_edit_that_comes_first_is_not_lost(contested: Ingest, path: str, status: str) -> None:
    agent = await contested.enrol()
    let_happen(contested, partial(edit, contested, agent, tags=["db"]))
    assert (await contested.post(path, HANDSHAKE, agent)).is_success
    server = await contested.record("servers", agent.server_id)
    assert (["db"], status) == (server["tags"], server["status"])


async def test_handshake_makes_records_that_are_missing(ingest: Ingest, agent: Enrolled) -> None:
    for topic, record_id in ((SERVERS, agent.server_id), (Topic(WORKSPACE, "agents"), agent.agent_id)):
        draft = Draft(id=record_id, action="delete")
        await ingest.log.append(Operation(topic=topic, drafts=(draft,), actor="test"))
    await ingest.post("handshake", HANDSHAKE, agent)
    assert MACHINE["hostname"] == (await ingest.record("servers", agent.server_id))["name"]
    assert agent.server_id == (await ingest.record("agents", agent.agent_id))["server_id"]


async def test_goodbye_is_offline_at_once_and_may_be_said_twice(ingest: Ingest, agent: Enrolled) -> None:
    ingest.clock.advance(60)
    answers = [await ingest.post("disconnect", {}, agent), await ingest.post("disconnect", b"", agent)]
    assert [204, 204] == [answer.status_code for answer in answers]
    server = await ingest.record("servers", agent.server_id)
    assert ("offline", LATER) == (server["status"], server["last_seen"])
    assert {} == await ingest.deadlines()
    assert 2 == (await ingest.versions())["servers"]


SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "metrics": ("metrics", {"ts": LATER, "cpu_percent": 1}),
    "status": ("status", {"healthy": True}),
    "sign of life": ("status", {}),
    "handshake": ("handshake", HANDSHAKE),
}


@pytest.mark.parametrize("said", SAID)
async def test_any_message_brings_a_server_back_that_was_held_back(ingest: Ingest, agent: Enrolled, said: str) -> None:
    await hold_back(ingest, agent)
    ingest.clock.advance(60)
    assert (await ingest.post(*SAID[said], agent)).is_success
    server = await ingest.record("servers", agent.server_id)
    assert ("online", LATER) == (server["status"], server["last_seen"])
    assert_expected_to_be_heard(await ingest.deadlines(), agent)


@pytest.mark.parametrize(("said", "beats"), [("metrics", 2), ("status", 2), ("sign of life", 2), ("handshake", 1)])
async def test_server_that_was_offline_is_back_with_a_handshake_or_the_second_beat(
    ingest: Ingest, agent: Enrolled, said: str, beats: int
) -> None:
    ingest.clock.advance(60)
    for _ in range(2):  # it comes and goes
        await ingest.post("disconnect", {}, agent)
        for beat in range(1, beats + 1):
            assert "offline" == (await ingest.record("servers", agent.server_id))["status"], f"before beat {beat}"
            assert (await ingest.post(*SAID[said], agent)).is_success
    server = await ingest.record("servers", agent.server_id)
    assert ("online", LATER) == (server["status"], server["last_seen"])
    assert_expected_to_be_heard(await ingest.deadlines(), agent)


async def test_status_that_says_nothing_changes_no_record(ingest: Ingest, agent: Enrolled) -> None:
    before = await ingest.versions()
    assert 202 == (await ingest.post("status", {}, agent)).status_code
    assert before == await ingest.versions()


async def test_registration_that_was_removed_comes_back_with_its_server(ingest: Ingest, agent: Enrolled) -> None:
    created_at = (await ingest.record("agents", agent.agent_id))["created_at"]
    await ingest.post("disconnect", {}, agent)
    draft = Draft(id=agent.agent_id, action="delete")
    await ingest.log.append(Operation(topic=Topic(WORKSPACE, "agents"), drafts=(draft,), actor="sweeper"))
    ingest.clock.advance(60)
    for _ in range(2):
        await ingest.post(*SAID["metrics"], agent)
    registration = await ingest.record("agents", agent.agent_id)
    told = (registration["created_at"], registration["last_heartbeat"], registration["server_id"])
    assert (created_at, LATER, agent.server_id) == told


async def test_handshake_tells_how_far_the_clock_is_ahead(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("handshake", {**HANDSHAKE, "ts": "2026-01-02T05:04:05.26+01:00"}, agent)
    assert 3600.3 == (await ingest.record("agents", agent.agent_id))["clock_skew_s"]


async def test_status_keeps_what_it_does_not_mention(ingest: Ingest, agent: Enrolled) -> None:
    told = {"healthy": False, "clients_count": 7, "sync_revision": 41, "groups": ["a", "b"]}
    assert 202 == (await ingest.post("status", told, agent)).status_code
    ingest.clock.advance(60)
    assert 202 == (await ingest.post("status", {"healthy": True}, agent)).status_code
    registration = await ingest.record("agents", agent.agent_id)
    assert (told | {"healthy": True, "last_heartbeat": LATER}).items() <= registration.items()


async def test_removed_registration_is_made_again_with_its_first_date(ingest: Ingest, agent: Enrolled) -> None:
    created_at = (await ingest.record("agents", agent.agent_id))["created_at"]
    draft = Draft(id=agent.agent_id, action="delete")
    await ingest.log.append(Operation(topic=Topic(WORKSPACE, "agents"), drafts=(draft,), actor="sweeper"))
    await ingest.post("status", {"clients_count": 2}, agent)
    registration = await ingest.record("agents", agent.agent_id)
    assert (created_at, 2) == (registration["created_at"], registration["clients_count"])


async def test_what_agents_say_is_not_remembered_for_long(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("handshake", HANDSHAKE, agent)
    await ingest.post("status", {"healthy": False}, agent)
    await ingest.post("disconnect", {}, agent)
    remembered = [key async for key in ingest.redis.scan_iter(PartitionKeys(partition_of(WORKSPACE)).operation("*"))]
    assert 6 == len(remembered)
    assert {True} == {await ingest.redis.ttl(key) <= 120 for key in remembered}


async def judge(ingest: Ingest, agent: Enrolled, verdict: str) -> None:
    """Do what the sweeper does with a deadline that has passed."""
    member, held = deadline_of(WORKSPACE, agent.server_id), held_deadline_of(WORKSPACE, agent.server_id)
    await ingest.redis.zadd(PartitionKeys(partition_of(WORKSPACE)).deadlines, {member: 1})
    hold = (Deadline("arm", held, 300_000),) if verdict == "unknown" else ()
    await edit(ingest, agent, Deadline("expire", member, 1), *hold, status=verdict)


@pytest.mark.parametrize("verdict", ["offline", "unknown"])
@pytest.mark.parametrize(("said", "messages"), [("handshake", 1), ("metrics", 2), ("status", 2), ("sign of life", 2)])
async def test_verdict_of_a_sweeper_that_comes_first_does_not_stay(
    contested: Ingest, said: str, messages: int, verdict: str
) -> None:
    agent = await contested.enrol()
    await contested.post("handshake", HANDSHAKE, agent)
    let_happen(contested, partial(judge, contested, agent, verdict))
    for _ in range(messages):
        assert (await contested.post(*SAID[said], agent)).is_success
    assert "online" == (await contested.record("servers", agent.server_id))["status"]
    assert_expected_to_be_heard(await contested.deadlines(), agent)


async def test_server_is_not_left_online_by_a_handshake_that_comes_before_a_goodbye(contested: Ingest) -> None:
    agent = await contested.enrol()
    await contested.post("disconnect", {}, agent)
    let_happen(contested, partial(contested.post, "handshake", HANDSHAKE, agent))
    assert 204 == (await contested.post("disconnect", {}, agent)).status_code
    assert "offline" == (await contested.record("servers", agent.server_id))["status"]
    assert {} == await contested.deadlines()


async def delete_server(ingest: Ingest, agent: Enrolled) -> None:
    """Do what the api does when a person deletes a server."""
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now() WHERE agent_id = $1", agent.agent_id)
    members = deadline_of(WORKSPACE, agent.server_id), held_deadline_of(WORKSPACE, agent.server_id)
    deletions = [
        Operation(topic=topic, drafts=(Draft(id=record_id, action="delete"),), actor="u_1", deadlines=deadlines)
        for topic, record_id, deadlines in (
            (Topic(WORKSPACE, "agents"), agent.agent_id, ()),
            (SERVERS, agent.server_id, tuple(Deadline("drop", member) for member in members)),
        )
    ]
    await ingest.log.append_all(deletions)


async def assert_is_gone(ingest: Ingest, agent: Enrolled) -> None:
    assert await ingest.record("servers", agent.server_id) is None
    assert await ingest.record("agents", agent.agent_id) is None
    assert {} == await ingest.deadlines()


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ("handshake", 401, "credential_revoked"),
        ("status", 401, "credential_revoked"),
        ("sign of life", 401, "credential_revoked"),
        ("metrics", 404, "unknown_server"),
    ],
)
async def test_deleted_server_is_not_made_again_by_a_message_under_way(
    contested: Ingest, said: str, status: int, code: str
) -> None:
    agent = await contested.enrol()
    await contested.post("handshake", HANDSHAKE, agent)
    let_happen(contested, partial(delete_server, contested, agent))
    answer = await contested.post(*SAID[said], agent)
    assert (status, code) == (answer.status_code, answer.json()["code"])
    await assert_is_gone(contested, agent)


async def test_deleted_server_is_not_made_again_where_nobody_can_tell_whether_its_agent_may_come(
    contested: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await contested.enrol()
    await contested.post("handshake", HANDSHAKE, agent)

    async def be_away(*_: object) -> bool:
        raise ConnectionError

    monkeypatch.setattr(Registrations, "holds", be_away)
    let_happen(contested, partial(delete_server, contested, agent))
    assert 503 == (await contested.post("handshake", HANDSHAKE, agent)).status_code
    await assert_is_gone(contested, agent)


async def test_deleted_server_is_not_made_again_by_a_process_that_ends_before_it_undoes_that(
    contested: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await contested.enrol()
    await contested.post("handshake", HANDSHAKE, agent)

    async def end(*_: object) -> None:
        """Undo nothing."""

    monkeypatch.setattr(Presence, "_take_back", end)
    let_happen(contested, partial(delete_server, contested, agent))
    assert 401 == (await contested.post("handshake", HANDSHAKE, agent)).status_code
    assert await contested.record("servers", agent.server_id) is None
