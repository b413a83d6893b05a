"""By no door of ingest does anybody see or change what belongs to a workspace whose credential they do not have.

The doors are those of its OpenAPI document, and the stream. Each intruder goes through each of them, and names an
agent, a server and a workspace of others in every place of a request. What they are told is, but for the words they
sent, what they are told when they ask for what exists nowhere, and what others have is afterwards what it was.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.agent_stream import replica_of
from tests.support.ingest import HANDSHAKE, WORKSPACE, Ingest, running_ingest
from tests.support.log import open_log
from tests.support.two_fleets import (
    NOWHERE,
    SAMPLE,
    SECRET,
    THEIRS,
    Fleet,
    Headers,
    Names,
    bodies,
    held,
    outsiders,
    settle,
)

_PASSING = {"x-request-id", "date"}
FOR_ANYONE = {"/ingest/v1/enroll"}


class Two(msgspec.Struct, frozen=True):
    """Ingest with both fleets."""

    ingest: Ingest
    ours: Fleet
    theirs: Fleet


@pytest_asyncio.fixture
async def two(redis_url: str, database_url: str) -> AsyncIterator[Two]:
    """Give ingest to which two workspaces send."""
    async with running_ingest(redis_url, database_url) as ingest:
        await open_log(ingest.redis)
        yield Two(ingest, await settle(ingest, WORKSPACE, "ours"), await settle(ingest, THEIRS, SECRET))


async def doors(ingest: Ingest) -> list[tuple[str, str]]:
    """Return the method and the path of every door; the one that ends an agent's presence last."""
    paths = (await ingest.http.get("/ingest/openapi.json")).json()["paths"]
    found = [(method.upper(), path) for path, operations in paths.items() for method in operations]
    return sorted(found, key=lambda door: (door[1].endswith("disconnect"), door))


async def go(ingest: Ingest, method: str, path: str, credential: Headers, names: Names) -> list[bytes]:
    """Go through a door in every way that names something; return what is answered, but for what is of the moment."""
    said = []
    for body, kind in bodies(path, names):
        for named in ({}, names.headers):
            headers = {**credential, **kind, **named}
            answer = await ingest.http.request(method, path, content=body, headers=headers, params=names.fields)
            said.append(_said(answer))
    return said


def _said(answer: httpx.Response) -> bytes:
    lines = [f"{name}: {value}" for name, value in sorted(answer.headers.items()) if name not in _PASSING]
    body = answer.content
    if answer.is_success and b'"secret"' in body:
        body = msgspec.json.encode(answer.json() | {"secret": "made for this answer"})
    return "\n".join([str(answer.status_code), *lines, ""]).encode() + body


def as_of_nowhere(said: bytes, names: Names) -> bytes:
    """Put the names of nobody in the place of others."""
    for name, value in names.fields.items():
        said = said.replace(value.encode(), NOWHERE.fields[name].encode())
    return said


async def faults(two: Two, who: str, credential: Headers, expected: set[int] | None) -> list[str]:
    """Return where somebody is told more than they may know, or is let in where they may not."""
    ingest, theirs = two.ingest, two.theirs.names
    found = []
    for method, path in await doors(ingest):
        of_theirs = await go(ingest, method, path, credential, theirs)
        of_nowhere = await go(ingest, method, path, credential, NOWHERE)
        where = f"{who}: {method} {path}"
        if any(SECRET.encode() in said for said in of_theirs):
            found.append(f"{where} tells {SECRET}")
        if [as_of_nowhere(said, theirs) for said in of_theirs] != of_nowhere:
            found.append(f"{where} differs:\n  {of_theirs}\n  {of_nowhere}")
        statuses = {int(said[:3]) for said in of_theirs}
        if expected is not None and path not in FOR_ANYONE and not statuses <= expected:
            found.append(f"{where} answers {statuses}")
    return found


async def test_who_has_no_credential_is_refused_at_every_door_whatever_they_name(two: Two) -> None:
    before = await held(two.ingest, THEIRS)
    found = []
    for who, credential in (await outsiders(two.ingest, two.theirs)).items():
        found += await faults(two, who, credential, {401, 426})
        await two.ingest.redis.delete(*[key async for key in two.ingest.redis.scan_iter("muster:throttle:*")])
    assert [] == found, "\n".join(found)
    assert before == await held(two.ingest, THEIRS)


async def test_agent_of_ours_reaches_nothing_of_theirs(two: Two) -> None:
    before = await held(two.ingest, THEIRS)
    assert SECRET in str(before)  # it is there to be seen
    found = await faults(two, "an agent of ours", two.ours.agent.headers, None)
    assert [] == found, "\n".join(found)
    assert before == await held(two.ingest, THEIRS)


async def test_relay_of_ours_sends_for_nobody_of_theirs_and_does_nothing_else(two: Two) -> None:
    before = await held(two.ingest, THEIRS)
    found = await faults(two, "a relay of ours", {"Authorization": f"Bearer {two.ours.relay}"}, {202, 401, 422, 426})
    assert [] == found, "\n".join(found)
    assert before == await held(two.ingest, THEIRS)


async def test_enrolment_token_of_ours_makes_nobody_one_of_theirs(two: Two) -> None:
    before = await held(two.ingest, THEIRS)
    request = {"hostname": "x", "machine_id": SECRET, **two.theirs.names.fields, "token": two.ours.enrolment}
    for proof in (None, two.ours.agent):
        answer = await two.ingest.post("enroll", request, proof)
        assert (409, "agent_exists") == (answer.status_code, answer.json()["code"])
    assert before == await held(two.ingest, THEIRS)


async def test_no_stream_is_opened_without_a_credential(two: Two) -> None:
    before = await held(two.ingest, THEIRS)
    relays = {"a relay": {"Authorization": f"Bearer {two.theirs.relay}"}}
    async with replica_of(two.ingest) as replica:
        for who, credential in ((await outsiders(two.ingest, two.theirs)) | relays).items():
            with pytest.raises(InvalidStatus) as refused:
                await connect(replica.url, additional_headers=credential | two.theirs.names.headers, proxy=None)
            response = refused.value.response
            assert (who, 401) == (who, response.status_code)
            assert SECRET.encode() not in (response.body or b"")
    assert before == await held(two.ingest, THEIRS)


@pytest.mark.parametrize("names", ["theirs", "nowhere"])
async def test_stream_of_ours_reaches_nothing_of_theirs(two: Two, names: str) -> None:
    before = await held(two.ingest, THEIRS)
    named = (two.theirs.names if names == "theirs" else NOWHERE).fields
    async with replica_of(two.ingest) as replica, replica.stream(two.ours.agent) as stream:
        config = await stream.shake_hands(**named, inventory=named)
        assert two.ours.agent.server_id == config["server_id"]
        answers = [
            await stream.ask("metrics", samples=[SAMPLE | {"seq": 3} | named], **named),
            await stream.ask("status", healthy=False, **named),
            await stream.ask("status", **named),
            await stream.ask("goodbye", **named),
        ]
    assert ["ack"] * 4 == [answer["op"] for answer in answers]
    assert [] == [value for value in named.values() if value in json.dumps([config, *answers])]
    assert before == await held(two.ingest, THEIRS)
    assert HANDSHAKE["agent_version"] == (await two.ingest.record("servers", two.ours.agent.server_id))["agent_version"]
