"""A user never sees, by any door of the api, a record of a workspace that is not theirs: not its bytes, not that it is.

The doors are the api's routes. Each intruder goes through each of them, and names what others have in every place of
a request. What they are told has nothing in it that is secret there, and is, but for the words they sent, what they are
told when they ask for what exists nowhere.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec
import pytest

from services.api.app import build_app
from shared.resources import RESOURCES
from tests.support.api import Api
from tests.support.doors import Ask, Door, at_home, attempts, doors_of
from tests.support.intruders import (
    ADMINISTRATOR,
    AT_HOME,
    INTRUDERS,
    MEMBER_OF_BOTH,
    Headers,
    of_both_in_ours,
    owner_of_ours,
)
from tests.support.two_workspaces import NOWHERE, OURS, THEIRS, as_of_theirs, fill, settle

_PASSING = {"x-request-id", "date"}
_TABLES = (
    "topics",
    "members",
    "api_tokens",
    "invitations",
    "enrolment_tokens",
    "relays",
    "audit_log",
    "audit_heads",
    "ws_events",
)


def doors_for(api: Api, who: str) -> list[Door]:
    """Return the doors behind which an intruder may see nothing of the other workspace."""
    doors = doors_of(build_app(api.parts))
    if who == ADMINISTRATOR:  # who sees all users
        return [door for door in doors if door.access != "administer"]
    if who == MEMBER_OF_BOTH:  # who may see where they are members
        return [
            door for door in doors if door.access not in {"known", "signed_in"} and "{workspace_id}" not in door.path
        ]
    return doors


def ways_for(who: str, door: Door) -> list[tuple[Ask, Ask]]:
    """Return what an intruder asks at a door: of what others have, and of what nobody has."""
    pairs = list(zip(attempts(door, THEIRS), attempts(door, NOWHERE), strict=True))
    if who == MEMBER_OF_BOTH:
        return [pair for pair in pairs if "X-Workspace" not in pair[0].headers]
    if who in AT_HOME:
        return pairs
    return [pair for pair in pairs if "header" in pair[0].way or "path" in pair[0].way or "body" in pair[0].way]


async def go(api: Api, ask: Ask, headers: Headers) -> httpx.Response:
    content = None if ask.body is None else msgspec.json.encode(ask.body)
    sent = headers | {"Content-Type": "application/json"} | ask.headers
    return await api.http.request(ask.method, ask.path, params=ask.query, headers=sent, content=content)


def said(answer: httpx.Response) -> bytes:
    """Return all bytes of an answer but those that are of the moment."""
    lines = [f"{name}: {value}" for name, value in sorted(answer.headers.items()) if name not in _PASSING]
    return "\n".join([str(answer.status_code), *lines, ""]).encode() + answer.content


def differs(ask: Ask, theirs: httpx.Response, nowhere: httpx.Response) -> bool:
    """Whether two answers tell what others have from what nobody has; of two writes that were done, by their form."""
    one, other = said(theirs), as_of_theirs(said(nowhere))
    if ask.method != "GET" and theirs.is_success and nowhere.is_success:
        return _form(one) != _form(other)
    return one != other


def _form(answer: bytes) -> bytes:
    """Blank numbers, times, and the ids and tokens that were made for an answer."""
    answer = re.sub(rb"\b(?!xq)[a-z]+_[A-Za-z0-9_-]{16,}", b"ID", answer)
    answer = re.sub(rb"\d{4}-\d\d-\d\dT[0-9:.]+Z", b"TIME", answer)
    return re.sub(rb"\d+", b"N", answer)


async def restore(api: Api, door: Door) -> None:
    """Give our workspace the records of this resource back as they were."""
    resource = door.resource
    if resource is None or not resource.editable:
        return
    owner = await owner_of_ours(api)
    for item in (await api.http.get(f"/api/v1/{resource.name}", headers=owner)).json()["items"]:
        if item["id"] != OURS.id(resource.prefix):
            await api.http.delete(f"/api/v1/{resource.name}/{item['id']}", headers=owner)
    body = {name: value for name, value in OURS.record(resource).items() if name in resource.editable}
    path = f"/api/v1/{resource.name}/{OURS.id(resource.prefix)}"
    answer = await api.http.put(path, json=body, headers=owner)
    assert answer.status_code in {200, 404}, answer.text


async def held(api: Api) -> list[Any]:
    """Return all that is stored of the other workspace."""
    tables = (*_TABLES, *RESOURCES)
    return [
        await api.pool.fetch(f"SELECT * FROM {table} WHERE workspace_id = $1 ORDER BY 1, 2, 3", THEIRS.workspace)  # noqa: S608  (declared names)
        for table in tables
    ]


async def test_members_see_what_tells_on_others(api: Api) -> None:
    """What the other tests look for is there to be seen."""
    member = await api.let_in(THEIRS.named)
    seen = set()
    for door in doors_of(build_app(api.parts)):
        if door.method == "GET" and door.access in {"read", "manage", "write", "member"}:
            ways = {ask.way: ask for ask in attempts(door, THEIRS)}
            ask = ways.get("path and header") or ways["header"]
            answer = await go(api, ask, member)
            assert 200 == answer.status_code, (door.path, answer.text)
            if any(word in said(answer) for word in THEIRS.disclosures()):
                seen.add(door.path)
    wanted = {f"/api/v1/{name}" for name in RESOURCES} | {"/api/v1/audit", "/api/v1/tokens", "/api/v1/enrolment-tokens"}
    wanted |= {"/api/v1/relays"}
    assert seen >= wanted
    assert seen >= {f"/api/v1/{r.name}/{{record_id}}/changes" for r in RESOURCES.values() if r.journalled}


@pytest.mark.parametrize("who", INTRUDERS)
async def test_no_door_tells_what_others_have_from_what_nobody_has(api: Api, who: str) -> None:
    faults: list[str] = []
    headers = await INTRUDERS[who](api)
    before = await held(api)
    for door in doors_for(api, who):
        for of_theirs, of_nowhere in ways_for(who, door):
            answers = []
            for ask in (of_theirs, of_nowhere):
                answers.append(await go(api, ask, headers))
                if door.method != "GET" and answers[-1].is_success:
                    await restore(api, door)
            where = f"{door.method} {door.path} ({of_theirs.way})"
            told = [
                word
                for word in THEIRS.disclosures()
                if word in said(answers[0]) and word not in str(of_theirs).encode()
            ]
            if told:
                faults.append(f"{where} tells {told}: {answers[0].text[:300]}")
            if differs(of_theirs, *answers):
                faults.append(f"{where} differs:\n  {said(answers[0])!r}\n  {as_of_theirs(said(answers[1]))!r}")
    assert faults == [], "\n".join(faults)
    assert before == await held(api)


async def observed(api: Api, headers: Headers) -> dict[str, bytes]:
    """Return all that our people can read about our workspace."""
    doors = [door for door in doors_of(build_app(api.parts)) if door.method == "GET" and door.access != "public"]
    answers = {door: await go(api, at_home(door), headers) for door in doors}
    assert [] == [d.path for d, answer in answers.items() if answer.is_success is (d.access == "administer")]
    return {door.path: said(answer) for door, answer in answers.items()}


async def test_what_others_have_changes_no_byte_of_what_one_reads(running: Api) -> None:
    await settle(running, OURS)
    await fill(running, OURS)
    owner = await owner_of_ours(running)
    before = await observed(running, owner)
    await settle(running, THEIRS)
    await fill(running, THEIRS)
    assert before == await observed(running, owner)


async def test_what_others_hold_is_free_for_us(api: Api) -> None:
    """Unique values, ids and keys of requests are those of a workspace: no refusal tells that others use them."""
    ours = await of_both_in_ours(api)
    elsewhere = ours | {"X-Workspace": THEIRS.workspace}
    for resource in RESOURCES.values():
        if resource.editable:
            path, names = f"/api/v1/{resource.name}", THEIRS
            held_there = msgspec.structs.replace(names, named=f"{names.named}2").known(resource)
            there = await api.http.post(path, json=held_there, headers=elsewhere | {"Idempotency-Key": resource.name})
            assert 201 == there.status_code, there.text
            for body in (held_there, names.known(resource)):
                key = {"Idempotency-Key": resource.name if body is held_there else f"{resource.name}-2"}
                here = await api.http.post(path, json=body, headers=ours | key)
                assert (201, there.json()["id"] == here.json()["id"]) == (here.status_code, False), here.text
            assert 404 == (await api.http.get(f"{path}/{there.json()['id']}", headers=ours)).status_code
            bulk = {"operations": [{"action": "create", "id": names.id(resource.prefix), "data": OURS.known(resource)}]}
            if not resource.unique:
                made = await api.http.post(f"{path}/bulk", json=bulk, headers=ours)
                assert 200 == made.status_code, made.text


@pytest.mark.parametrize("path", ["/health", "/readiness", "/metrics", "/api/openapi.json"])
async def test_what_is_told_to_everybody_names_nobody(api: Api, path: str) -> None:
    answer = await api.http.get(path)
    assert 200 == answer.status_code
    assert [] == [word for word in (*THEIRS.disclosures(), THEIRS.named.encode()) if word in said(answer)]
