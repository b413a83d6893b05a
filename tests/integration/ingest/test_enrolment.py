"""Enrolling: what a token gives, and what it takes to get an id that exists."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.ingest.throttle import MAX_REFUSED, WINDOW_S
from shared.io import reading
from tests.support.ingest import HANDSHAKE, MACHINE, SHARED_TOKEN, WORKSPACE, Enrolled, Ingest
from tests.support.log import open_log

TOKEN = "token-of-one-use"


async def test_shared_token_enrols_into_the_oldest_workspace_with_the_groups_it_says(ingest: Ingest) -> None:
    await ingest.pool.execute("INSERT INTO workspaces (id, name) VALUES ('w_younger', 'Younger')")
    agent = await ingest.enrol(name="Web 1", groups=["eu", "web"])
    assert WORKSPACE == agent.workspace_id
    server = await ingest.record("servers", agent.server_id)
    assert {"name": "Web 1", "groups": ["eu", "web"], "status": "online", **MACHINE}.items() <= server.items()
    registration = await ingest.record("agents", agent.agent_id)
    assert (agent.server_id, ["eu", "web"]) == (registration["server_id"], registration["groups"])


async def test_machine_without_a_name_is_called_by_its_hostname(ingest: Ingest, agent: Enrolled) -> None:
    server = await ingest.record("servers", agent.server_id)
    assert MACHINE["hostname"] == server["name"]


async def test_secret_is_stored_as_its_hash_only(ingest: Ingest, agent: Enrolled) -> None:
    stored = await ingest.pool.fetchval("SELECT agent_credentials::text FROM agent_credentials")
    assert len(agent.secret) >= 43  # 256 bits
    assert agent.secret not in stored
    assert agent.secret.encode().hex() not in stored


async def test_stored_token_decides_the_groups_and_is_used_up(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, uses=1, groups=("from-token",))
    agent = await ingest.enrol(token=TOKEN, groups=["self-reported"])
    assert ["from-token"] == (await ingest.record("servers", agent.server_id))["groups"]
    again = await ingest.post("enroll", {"token": TOKEN, **MACHINE})
    assert (403, "enrolment_token_used_up") == (again.status_code, again.json()["code"])


async def test_token_of_one_use_enrols_one_of_many_at_once(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, uses=1)
    answers = await asyncio.gather(*(ingest.post("enroll", {"token": TOKEN, **MACHINE}) for _ in range(8)))
    assert [201, *[403] * 7] == sorted(answer.status_code for answer in answers)


async def test_expired_token_is_refused(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, expires_in="-1 second")
    answer = await ingest.post("enroll", {"token": TOKEN, **MACHINE})
    assert (403, "enrolment_token_expired") == (answer.status_code, answer.json()["code"])


async def test_unknown_token_is_refused_and_nothing_is_stored(ingest: Ingest) -> None:
    answer = await ingest.post("enroll", {"token": "wrong", **MACHINE})
    assert (401, "enrolment_token_unknown") == (answer.status_code, answer.json()["code"])
    assert 0 == await ingest.pool.fetchval("SELECT count(*) FROM agent_credentials")
    assert {} == await ingest.versions()


async def test_agent_may_wish_for_an_id_that_is_free(ingest: Ingest) -> None:
    assert "a_wished" == (await ingest.enrol(agent_id="a_wished")).agent_id


async def test_id_that_exists_is_not_given_to_who_cannot_prove_it(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.add_token(TOKEN, uses=1)
    request = {"token": TOKEN, "agent_id": agent.agent_id, **MACHINE}
    other = await ingest.enrol()
    for proof in (None, other, Enrolled(agent.agent_id, "guessed", agent.server_id, WORKSPACE)):
        answer = await ingest.post("enroll", request, proof)
        assert (409, "agent_exists") == (answer.status_code, answer.json()["code"])
    assert 1 == await ingest.pool.fetchval("SELECT uses_left FROM enrolment_tokens")
    assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code


async def test_proven_id_gets_another_secret_for_the_same_server(ingest: Ingest, agent: Enrolled) -> None:
    assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code
    answer = await ingest.post("enroll", {"token": SHARED_TOKEN, "agent_id": agent.agent_id, **MACHINE}, agent)
    assert 201 == answer.status_code
    renewed = Enrolled(**answer.json())
    assert (agent.agent_id, agent.server_id) == (renewed.agent_id, renewed.server_id)
    assert 200 == (await ingest.post("handshake", HANDSHAKE, renewed)).status_code
    assert 401 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code


async def test_enrolment_whose_answer_was_lost_can_be_repeated(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, uses=1)
    request, key = {"token": TOKEN, **MACHINE}, {"Idempotency-Key": "4c5f1f5e"}
    answers = [await ingest.post("enroll", request, headers=key) for _ in range(2)]
    assert [201, 201] == [answer.status_code for answer in answers]
    lost, agent = (Enrolled(**answer.json()) for answer in answers)
    assert (lost.agent_id, lost.server_id) == (agent.agent_id, agent.server_id)
    assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code
    assert 401 == (await ingest.post("handshake", HANDSHAKE, lost)).status_code


async def test_enrolment_cannot_be_repeated_once_the_agent_has_shaken_hands(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, uses=1)
    request, key = {"token": TOKEN, **MACHINE}, {"Idempotency-Key": "4c5f1f5e"}
    agent = Enrolled(**(await ingest.post("enroll", request, headers=key)).json())
    await ingest.post("handshake", HANDSHAKE, agent)
    again = await ingest.post("enroll", request, headers=key)
    assert (403, "enrolment_token_used_up") == (again.status_code, again.json()["code"])
    assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code


async def test_repetitions_at_once_are_one_enrolment(ingest: Ingest) -> None:
    await ingest.add_token(TOKEN, uses=1)
    # connections that stand already, so that nobody comes late
    await asyncio.gather(*(ingest.pool.fetchval("SELECT pg_sleep(0.05)") for _ in range(4)))
    request, key = {"token": TOKEN, **MACHINE}, {"Idempotency-Key": "4c5f1f5e"}
    answers = await asyncio.gather(*(ingest.post("enroll", request, headers=key) for _ in range(4)))
    assert [201] * 4 == [answer.status_code for answer in answers]
    assert 1 == len({answer.json()["agent_id"] for answer in answers})


async def test_agent_gets_its_secret_although_the_log_is_sealed(sealed_ingest: Ingest) -> None:
    agent = await sealed_ingest.enrol()
    refused = await sealed_ingest.post("handshake", HANDSHAKE, agent)
    assert (503, "log_sealed") == (refused.status_code, refused.json()["code"])
    await open_log(sealed_ingest.redis)
    assert 200 == (await sealed_ingest.post("handshake", HANDSHAKE, agent)).status_code
    assert MACHINE["hostname"] == (await sealed_ingest.record("servers", agent.server_id))["name"]


async def test_address_that_was_refused_too_often_has_to_wait(ingest: Ingest) -> None:
    refused = [await ingest.post("enroll", {"token": "wrong", **MACHINE}) for _ in range(MAX_REFUSED)]
    assert {401} == {answer.status_code for answer in refused}
    other = await ingest.post("enroll", {"token": SHARED_TOKEN, **MACHINE}, headers={"X-Forwarded-For": "192.0.2.1"})
    assert 201 == other.status_code
    answer = await ingest.post("enroll", {"token": SHARED_TOKEN, **MACHINE})
    assert (429, "too_many_requests") == (answer.status_code, answer.json()["code"])
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW_S


async def test_address_is_admitted_before_its_body_is_read(ingest: Ingest) -> None:
    for _ in range(MAX_REFUSED):
        await ingest.post("enroll", {"token": "wrong", **MACHINE})
    is_read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal is_read
        is_read = True
        yield b"{"

    answer = await ingest.http.post("/ingest/v1/enroll", content=body())
    assert 429 == answer.status_code
    assert not is_read


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b'{"token":5}', b"[" * 1000, b" " * 70_000])
async def test_what_is_no_enrolment_at_all_is_a_refused_attempt(ingest: Ingest, body: bytes) -> None:
    statuses = {(await ingest.post("enroll", body)).status_code for _ in range(MAX_REFUSED)}
    assert statuses <= {400, 413, 422}
    assert 429 == (await ingest.post("enroll", {"token": SHARED_TOKEN, **MACHINE})).status_code


async def test_large_enrolment_is_not_read_to_its_end(ingest: Ingest) -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 10_000_000:
            sent_bytes += 10_000
            yield b" " * 10_000

    answer = await ingest.http.post("/ingest/v1/enroll", content=endless())
    assert (413, "too_large") == (answer.status_code, answer.json()["code"])
    assert sent_bytes < 100_000


@pytest.mark.parametrize("path", ["enroll", "handshake", "status"])
async def test_body_that_does_not_come_in_time_is_given_up(
    ingest: Ingest, agent: Enrolled, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_TIMEOUT_S", 0.01)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await ingest.http.post(f"/ingest/v1/{path}", content=slow(), headers=agent.headers)
    assert (408, "too_slow") == (answer.status_code, answer.json()["code"])
    assert "close" == answer.headers["connection"]


async def test_nobody_can_enrol_before_the_first_workspace_is_set_up(ingest: Ingest) -> None:
    await ingest.pool.execute("DELETE FROM workspaces")
    answer = await ingest.post("enroll", {"token": SHARED_TOKEN, **MACHINE})
    assert (503, "unavailable") == (answer.status_code, answer.json()["code"])
