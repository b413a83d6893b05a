"""Secrets that are changed, and machines that lost theirs."""

from datetime import datetime, timedelta

from tests.support.ingest import HANDSHAKE, MACHINE, SHARED_TOKEN, WORKSPACE, Enrolled, Ingest

CLAIM = "SELECT claim_machine_id, claim_hostname, approved_until IS NOT NULL FROM agent_credentials WHERE agent_id = $1"


def with_secret(agent: Enrolled, secret: str) -> Enrolled:
    return Enrolled(agent.agent_id, secret, agent.server_id, agent.workspace_id)


async def status_of(ingest: Ingest, agent: Enrolled) -> int:
    """Return how a message of an agent is answered, once nothing is remembered of its secret."""
    ingest.clock.advance(10)
    return (await ingest.post("status", {"healthy": True}, agent)).status_code


async def rotated(ingest: Ingest, agent: Enrolled) -> Enrolled:
    answer = await ingest.post("rotate", b"", agent)
    assert 200 == answer.status_code, answer.text
    return with_secret(agent, answer.json()["secret"])


async def approve(ingest: Ingest, agent: Enrolled, until: str = "1 hour") -> None:
    await ingest.pool.execute(
        "UPDATE agent_credentials SET approved_until = now() + $2::text::interval WHERE agent_id = $1",
        agent.agent_id,
        until,
    )


async def test_both_secrets_are_good_until_the_new_one_is_used(ingest: Ingest, agent: Enrolled) -> None:
    new = await rotated(ingest, agent)
    assert 202 == await status_of(ingest, agent)
    assert 202 == await status_of(ingest, new)
    assert 401 == await status_of(ingest, agent)
    assert 202 == await status_of(ingest, new)
    row = await ingest.pool.fetchrow("SELECT next_secret_hash, rotated_at IS NOT NULL FROM agent_credentials")
    assert (None, True) == tuple(row)


async def test_lost_answer_to_a_rotation_locks_nobody_out(ingest: Ingest, agent: Enrolled) -> None:
    lost = await rotated(ingest, agent)
    new = await rotated(ingest, agent)
    assert 401 == await status_of(ingest, lost)
    assert 202 == await status_of(ingest, agent)
    assert 202 == await status_of(ingest, new)


async def test_new_secret_is_stored_as_its_hash_only(ingest: Ingest, agent: Enrolled) -> None:
    new = await rotated(ingest, agent)
    stored = await ingest.pool.fetchval("SELECT agent_credentials::text FROM agent_credentials")
    assert new.secret not in stored
    assert new.secret.encode().hex() not in stored


async def test_revoked_agent_takes_no_other_secret(ingest: Ingest, agent: Enrolled) -> None:
    new = await rotated(ingest, agent)
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now()")
    ingest.clock.advance(10)
    for one in (agent, new):
        answer = await ingest.post("rotate", b"", one)
        assert (401, "credential_revoked") == (answer.status_code, answer.json()["code"])


async def test_claim_without_a_secret_is_refused_and_kept_for_people(ingest: Ingest, agent: Enrolled) -> None:
    body = {"token": SHARED_TOKEN, **MACHINE, "hostname": "new-disk", "agent_id": agent.agent_id}
    answer = await ingest.post("enroll", body)
    assert (409, "agent_exists") == (answer.status_code, answer.json()["code"])
    row = await ingest.pool.fetchrow(CLAIM, agent.agent_id)
    assert (MACHINE["machine_id"], "new-disk", False) == tuple(row)
    assert 202 == await status_of(ingest, agent)


async def test_claim_does_not_spend_the_token(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.add_token("once", uses=1)
    assert 409 == (await ingest.post("enroll", {"token": "once", **MACHINE, "agent_id": agent.agent_id})).status_code
    assert 1 == await ingest.pool.fetchval("SELECT uses_left FROM enrolment_tokens")


async def test_approved_machine_becomes_its_agent_again_once(ingest: Ingest, agent: Enrolled) -> None:
    body = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}
    await ingest.post("enroll", body)
    await approve(ingest, agent)
    answer = await ingest.post("enroll", body)
    assert (201, agent.agent_id, agent.server_id) == (
        answer.status_code,
        answer.json()["agent_id"],
        answer.json()["server_id"],
    )
    new = with_secret(agent, answer.json()["secret"])
    assert 202 == await status_of(ingest, new)
    assert 401 == await status_of(ingest, agent)
    assert 409 == (await ingest.post("enroll", body)).status_code


async def test_approval_is_for_the_machine_that_claimed_and_for_its_time(ingest: Ingest, agent: Enrolled) -> None:
    body = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}
    await ingest.post("enroll", body)
    await approve(ingest, agent, until="-1 second")
    assert 409 == (await ingest.post("enroll", body)).status_code
    await approve(ingest, agent)
    assert 409 == (await ingest.post("enroll", body | {"machine_id": "another"})).status_code
    # what the other one claims now was approved by nobody
    assert 409 == (await ingest.post("enroll", body | {"machine_id": "another"})).status_code


async def test_refused_claims_of_others_do_not_void_an_approval(ingest: Ingest, agent: Enrolled) -> None:
    body = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}
    await ingest.post("enroll", body)
    await approve(ingest, agent)
    before = await ingest.pool.fetchrow(CLAIM, agent.agent_id)
    for other in ({"machine_id": "another"}, {"machine_id": "another", "hostname": "x"}):
        assert 409 == (await ingest.post("enroll", body | other)).status_code
    assert before == await ingest.pool.fetchrow(CLAIM, agent.agent_id)
    assert 201 == (await ingest.post("enroll", body)).status_code


async def test_claim_that_is_repeated_stays_the_one_that_was_seen_and_another_is_another(
    ingest: Ingest, agent: Enrolled
) -> None:
    body = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}

    async def claimed_at(address: str = "192.0.2.1", **other: str) -> datetime:
        headers = {"X-Forwarded-For": address}
        assert 409 == (await ingest.post("enroll", body | other, headers=headers)).status_code
        at: datetime = await ingest.pool.fetchval("SELECT claimed_at FROM agent_credentials")
        return at

    first = await claimed_at()
    assert first == await claimed_at()
    by_others = [await claimed_at("192.0.2.2"), await claimed_at(hostname="x"), await claimed_at(machine_id="y")]
    assert 4 == len({first, *by_others})
    await approve(ingest, agent, until="-1 second")
    assert by_others[-1] < await claimed_at(machine_id="y")  # what was approved once is not claimed for ever


async def test_revoked_agents_id_is_not_to_be_had_and_the_answer_says_so(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now()")
    ingest.clock.advance(10)
    body = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}
    for proof in (None, agent):
        answer = await ingest.post("enroll", body, proof)
        assert (409, "agent_revoked") == (answer.status_code, answer.json()["code"])
    assert (None, None, False) == tuple(await ingest.pool.fetchrow(CLAIM, agent.agent_id))


async def test_token_of_another_workspace_learns_nothing_of_an_agent_but_that_its_id_is_taken(
    ingest: Ingest, agent: Enrolled
) -> None:
    await ingest.pool.execute("INSERT INTO workspaces (id, name) VALUES ('w_theirs', 'Theirs')")
    await ingest.add_token("theirs")
    await ingest.pool.execute("UPDATE enrolment_tokens SET workspace_id = 'w_theirs'")
    ours = {"token": SHARED_TOKEN, **MACHINE, "agent_id": agent.agent_id}
    unproven = (await ingest.post("enroll", ours)).json()
    for change in ("SELECT", "UPDATE agent_credentials SET revoked_at = now()"):
        await ingest.pool.execute(change)
        answer = await ingest.post("enroll", ours | {"token": "theirs"})
        assert (409, unproven) == (answer.status_code, answer.json())


async def test_token_of_another_workspace_claims_nothing(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.pool.execute("INSERT INTO workspaces (id, name) VALUES ('w_theirs', 'Theirs')")
    await ingest.add_token("theirs")
    await ingest.pool.execute("UPDATE enrolment_tokens SET workspace_id = 'w_theirs'")
    assert 409 == (await ingest.post("enroll", {"token": "theirs", **MACHINE, "agent_id": agent.agent_id})).status_code
    assert (None, None, False) == tuple(await ingest.pool.fetchrow(CLAIM, agent.agent_id))
    assert WORKSPACE == agent.workspace_id


async def test_handshake_of_the_new_secret_is_the_same_server(ingest: Ingest, agent: Enrolled) -> None:
    new = await rotated(ingest, agent)
    answer = await ingest.post("handshake", HANDSHAKE, new)
    assert (200, agent.server_id) == (answer.status_code, answer.json()["server_id"])
    assert timedelta(0) < timedelta(seconds=answer.json()["interval_s"])


async def test_handshake_tells_that_a_person_wishes_for_another_secret_until_it_is_used(
    ingest: Ingest, agent: Enrolled
) -> None:
    assert not (await ingest.post("handshake", HANDSHAKE, agent)).json()["rotate"]
    await ingest.pool.execute("UPDATE agent_credentials SET rotation_wanted = true")
    assert (await ingest.post("handshake", HANDSHAKE, agent)).json()["rotate"]
    new = await rotated(ingest, agent)
    ingest.clock.advance(10)
    assert not (await ingest.post("handshake", HANDSHAKE, new)).json()["rotate"]
