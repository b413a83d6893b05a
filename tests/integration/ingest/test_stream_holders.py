"""One stream an agent over all replicas, and what the end of one means for its server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from services.ingest.presence import Presence
from services.ingest.stream.connection import WISHED_AGAIN_S, Connection
from services.ingest.stream.connections import RENEW_S
from shared.errors import RetryLater
from shared.io.identity_changes import AgentChanges
from shared.names import PartitionKeys, deadline_of, partition_of
from tests.support.agent_stream import (
    GRACE_S,
    AgentStream,
    Replica,
    holder,
    replica_of,
    until,
)
from tests.support.ingest import HANDSHAKE, MACHINE, OFFLINE_AFTER_S, SHARED_TOKEN, WORKSPACE, Enrolled, Ingest
from tests.support.silent_proxy import SilentProxy

KEYS = PartitionKeys(partition_of(WORKSPACE))


async def deadline_ms(ingest: Ingest, agent: Enrolled) -> int:
    return (await ingest.deadlines())[deadline_of(WORKSPACE, agent.server_id)]


async def set_deadline_ms(ingest: Ingest, agent: Enrolled, from_now_ms: int) -> None:
    seconds, micros = await ingest.redis.time()
    score = seconds * 1000 + micros // 1000 + from_now_ms
    await ingest.redis.zadd(KEYS.deadlines, {deadline_of(WORKSPACE, agent.server_id): score})


async def is_given_up(ingest: Ingest, agent: Enrolled) -> bool:
    return await holder(ingest, agent) is None


async def status(ingest: Ingest, agent: Enrolled) -> str:
    return str((await ingest.record("servers", agent.server_id))["status"])


@asynccontextmanager
async def held_stream(replica: Replica, agent: Enrolled) -> AsyncIterator[AgentStream]:
    async with replica.stream(agent) as stream:
        await stream.shake_hands()
        yield stream


async def test_presence_says_which_replica_holds_an_agent_and_is_forgotten_with_the_replica(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        held = await holder(ingest, agent)
        assert held is not None
        assert replica.beacon.replica == held.split()[1].decode()
        key = KEYS.holder(agent.agent_id)
        await ingest.redis.pexpire(key, 20_000)
        ingest.clock.advance(RENEW_S)

        async def is_renewed() -> bool:
            return int(await ingest.redis.pttl(key)) > 20_000

        await until(is_renewed)
        await ingest.redis.delete(key)  # as a flush would
        assert "ack" == (await stream.ask("status"))["op"]
        ingest.clock.advance(RENEW_S)

        async def is_back() -> bool:
            return await holder(ingest, agent) == held

        await until(is_back)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_newer_stream_of_an_agent_ends_the_older_one(ingest: Ingest, agent: Enrolled, elsewhere: bool) -> None:
    async with replica_of(ingest) as first, replica_of(ingest) as second:
        newer = second if elsewhere else first
        async with held_stream(first, agent) as old:
            (served,) = first.streams._standing
            await until(partial(_is_looked_after, served, ingest))  # from now on nothing but the announcement tells it
            async with held_stream(newer, agent) as new:
                assert 4409 == (await old.closed())[0]
                assert "ack" == (await new.ask("status"))["op"]
                assert newer.beacon.replica.encode() == (await holder(ingest, agent) or b"").split()[1]
                assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)


async def _is_looked_after(connection: Connection, ingest: Ingest) -> bool:
    return connection.renewed_at == ingest.clock.monotonic()


async def test_of_many_streams_at_once_over_two_replicas_one_is_left(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as first, replica_of(ingest) as second:

        async def come_and_wait(replica: Replica) -> int:
            while True:
                with suppress(InvalidStatus):  # too many wait for a handshake just then
                    async with replica.stream(agent) as stream:
                        await stream.send("handshake", boot_id="b")
                        return (await stream.closed())[0]

        streams = [asyncio.create_task(come_and_wait(replica)) for replica in (first, second) * 5]

        async def one_is_left() -> bool:
            return 1 == len(first.streams) + len(second.streams) and 9 == sum(stream.done() for stream in streams)

        await until(one_is_left)
        assert {4409} == {stream.result() for stream in streams if stream.done()}
        (left,) = first.streams._standing | second.streams._standing
        ingest.clock.advance(RENEW_S)
        await until(partial(_is_looked_after, left, ingest))
        assert left.ending is None
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)


async def test_older_stream_ends_also_when_the_announcement_is_lost(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        held = await holder(ingest, agent)
        assert held is not None
        generation = int(held.split()[0])
        await ingest.redis.set(KEYS.holder(agent.agent_id), f"{generation + 1} elsewhere", px=30_000)
        ingest.clock.advance(RENEW_S)
        assert 4409 == (await stream.closed())[0]
    assert f"{generation + 1} elsewhere".encode() == await holder(ingest, agent)


async def test_broken_stream_makes_the_server_offline_soon(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica:
        async with held_stream(replica, agent) as stream:
            stream.websocket.transport.abort()
        await until(lambda: is_given_up(ingest, agent))
        assert await deadline_ms(ingest, agent) <= GRACE_S * 1000
        async with held_stream(replica, agent):  # it is back in time
            assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)


async def test_deadline_that_is_sooner_stays(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica:
        async with held_stream(replica, agent):
            await set_deadline_ms(ingest, agent, 1_000)
        await until(lambda: is_given_up(ingest, agent))
        assert await deadline_ms(ingest, agent) <= 1_000


async def test_broken_stream_means_nothing_to_an_agent_that_was_heard_another_way(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with replica_of(ingest) as replica:
        async with held_stream(replica, agent):
            (served,) = replica.streams._standing
            served.answered_at -= 10  # its last word was some time ago
            await ingest.post("status", {}, agent)
        await until(lambda: is_given_up(ingest, agent))
        assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)


async def test_older_stream_that_breaks_late_means_nothing_to_the_newer_one(ingest: Ingest, agent: Enrolled) -> None:
    async with (
        replica_of(ingest) as first,
        SilentProxy(first.port) as proxy,
        replica_of(ingest) as second,
        first.stream(agent, url=proxy.url("/ingest/v1/ws")) as old,
    ):
        await old.shake_hands()
        proxy.fall_silent()
        async with held_stream(second, agent):
            await until(lambda: _has_none(first))
            assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)
            assert second.beacon.replica.encode() == (await holder(ingest, agent) or b"").split()[1]


async def _has_none(replica: Replica) -> bool:
    for connection in list(replica.streams._standing):
        if connection.ending is not None:
            connection._peer.wire.abort()  # it does not answer: uvicorn would wait for some seconds
    return not len(replica.streams)


async def test_half_open_stream_is_found_by_its_silence(ingest: Ingest, agent: Enrolled) -> None:
    async with (
        replica_of(ingest) as replica,
        SilentProxy(replica.port) as proxy,
        replica.stream(agent, url=proxy.url("/ingest/v1/ws")) as stream,
    ):
        await stream.shake_hands()
        proxy.fall_silent()
        ingest.clock.advance(30)
        await until(lambda: is_given_up(ingest, agent))
        assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)
        proxy.cut()


async def test_goodbye_of_an_older_stream_does_not_make_the_server_offline(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        await ingest.redis.set(KEYS.holder(agent.agent_id), "9000000000000000 elsewhere", px=30_000)
        await stream.send("goodbye")
        assert 4409 == (await stream.closed())[0]
    assert "online" == await status(ingest, agent)


async def test_stream_that_said_goodbye_is_let_go_of(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica:
        async with held_stream(replica, agent) as stream:
            await stream.send("goodbye")
            assert 1000 == (await stream.closed())[0]
        await until(partial(_has_none, replica))
        assert {} == replica.streams._newest


async def test_handshake_that_is_refused_ends_no_older_stream(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as old:
        held = await holder(ingest, agent)
        async with replica.stream(agent) as new:
            answer = await new.ask("handshake", **HANDSHAKE | {"inventory": {"name": "\0"}})
            assert ("error", "invalid_inventory") == (answer["op"], answer["code"])
            assert held == await holder(ingest, agent)
            assert "ack" == (await old.ask("status"))["op"]
            await new.shake_hands()
            assert 4409 == (await old.closed())[0]


async def test_draining_replica_sends_its_agents_away_and_none_is_offline_for_that(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with replica_of(ingest) as leaving, replica_of(ingest) as staying:
        async with held_stream(leaving, agent) as stream:
            await leaving.streams.drain()
            assert 1012 == (await stream.closed())[0]
        assert OFFLINE_AFTER_S * 1000 - 10_000 < await deadline_ms(ingest, agent)
        async with held_stream(staying, agent) as again:
            assert "ack" == (await again.ask("status"))["op"]
        assert not len(leaving.streams)


async def test_very_many_streams_that_break_at_once_make_nobody_offline(ingest: Ingest) -> None:
    agents = [await ingest.enrol() for _ in range(6)]
    async with replica_of(ingest, round_s=0.3) as replica, SilentProxy(replica.port) as proxy:

        async def hold(agent: Enrolled) -> None:
            async with replica.stream(agent, url=proxy.url("/ingest/v1/ws")) as stream:
                await stream.shake_hands()
                await stream.websocket.wait_closed()

        streams = [asyncio.create_task(hold(agent)) for agent in agents]
        for agent in agents:
            await until(partial(_is_held, ingest, agent))
        proxy.cut()
        await asyncio.wait(streams)
        for agent in agents:
            await until(partial(is_given_up, ingest, agent))
            assert OFFLINE_AFTER_S * 1000 - 15_000 < await deadline_ms(ingest, agent)


async def _is_held(ingest: Ingest, agent: Enrolled) -> bool:
    return await holder(ingest, agent) is not None


async def test_revoked_agent_is_out_within_a_second_by_every_door(ingest: Ingest, agent: Enrolled) -> None:
    other = await ingest.enrol()
    async with (
        replica_of(ingest) as first,
        replica_of(ingest) as second,
        held_stream(first, agent) as stream,
        held_stream(second, other) as others,
    ):
        await ingest.post("status", {}, agent)  # the replica remembers it
        async with second.stream(agent):
            pass
        await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now() WHERE agent_id = $1", agent.agent_id)
        async with asyncio.timeout(1):
            await AgentChanges(ingest.redis, _unheard).announce([agent.agent_id])
            assert 4401 == (await stream.closed())[0]
        for replica in (first, second):  # by their clock, not a moment has passed
            assert await _is_refused(replica, agent)
        assert "ack" == (await others.ask("status"))["op"]


async def _unheard(_: frozenset[str] | None) -> None:
    """Stand for a process that heeds nothing."""


async def _is_refused(replica: Replica, agent: Enrolled) -> bool:
    url = f"http://127.0.0.1:{replica.port}/ingest/v1/metrics"
    async with httpx.AsyncClient() as http:
        return (await http.post(url, headers=agent.headers, content=b"{}")).status_code == httpx.codes.UNAUTHORIZED


async def test_revocation_that_nobody_announced_is_found_all_the_same(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now()")
        ingest.clock.advance(RENEW_S)
        assert 4401 == (await stream.closed())[0]


async def test_agent_that_enrols_again_ends_the_stream_of_its_old_secret(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        body = {"token": SHARED_TOKEN, "agent_id": agent.agent_id, **MACHINE}
        assert 201 == (await ingest.post("enroll", body, agent)).status_code
        assert 4401 == (await stream.closed())[0]


async def test_redis_connections_of_the_channels_may_break(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as first, replica_of(ingest) as second, held_stream(first, agent) as old:
        await ingest.redis.client_kill_filter(_type="pubsub")
        async with held_stream(second, agent):
            assert 4409 == (await old.closed())[0]


async def want_rotation(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.pool.execute("UPDATE agent_credentials SET rotation_wanted = true WHERE agent_id = $1", agent.agent_id)


async def test_agent_on_a_stream_is_told_at_once_that_a_person_wishes_for_another_secret(
    ingest: Ingest, agent: Enrolled
) -> None:
    other = await ingest.enrol()
    async with (
        replica_of(ingest) as replica,
        held_stream(replica, other) as others,
        replica.stream(agent) as stream,
    ):
        config = await stream.shake_hands()
        for served in replica.streams._standing:  # from now on nothing but the announcement tells it
            await until(partial(_is_looked_after, served, ingest))
        await want_rotation(ingest, agent)
        changes = AgentChanges(ingest.redis, _unheard)
        await changes.announce([agent.agent_id, other.agent_id])
        assert config | {"rotate": True} == await stream.answer()
        await changes.announce([agent.agent_id])
        for one in (stream, others):  # once is enough, and not to others
            assert {"op": "ack", "seq": 2} == await one.ask("status")


async def test_wish_that_nobody_announced_is_told_all_the_same_and_again_after_a_while(
    ingest: Ingest, agent: Enrolled
) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        (served,) = replica.streams._standing
        await until(partial(_is_looked_after, served, ingest))
        await want_rotation(ingest, agent)
        told = []
        for _ in range(int(WISHED_AGAIN_S / RENEW_S) + 1):
            ingest.clock.advance(RENEW_S)
            await until(partial(_is_looked_after, served, ingest))
            await stream.send("status")
            heard = [await stream.answer()]
            while heard[-1]["op"] != "ack":
                heard.append(await stream.answer())
            told.append([message["rotate"] for message in heard[:-1]])
        assert [[True], *[[]] * (len(told) - 2), [True]] == told


async def test_goodbye_counts_although_redis_has_lost_who_holds_the_stream(ingest: Ingest, agent: Enrolled) -> None:
    async with replica_of(ingest) as replica, held_stream(replica, agent) as stream:
        await ingest.redis.delete(KEYS.holder(agent.agent_id))  # as a failover would
        assert "ack" == (await stream.ask("goodbye"))["op"]
        assert 1000 == (await stream.closed())[0]
        assert "offline" == await status(ingest, agent)


async def test_stream_whose_goodbye_was_put_off_gives_way_to_a_newer_one(
    ingest: Ingest, agent: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put_off(*_: object) -> None:
        raise RetryLater("the log is sealed")

    async with replica_of(ingest) as first, replica_of(ingest) as second, held_stream(first, agent) as old:
        with monkeypatch.context() as patched:
            patched.setattr(Presence, "leave", put_off)
            assert "unavailable" == (await old.ask("goodbye"))["code"]
        old_hold = await holder(ingest, agent)
        async with held_stream(second, agent):
            assert old_hold != await holder(ingest, agent)
            assert 4409 == (await old.closed())[0]
            assert "online" == await status(ingest, agent)
