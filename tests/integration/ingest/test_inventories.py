"""What machines are made of is kept with the handshake that tells it, and each change of it with its difference."""

import asyncio
import json
from typing import Any

import asyncpg
import msgspec
import pytest

from services.ingest.credentials import AgentIdentity
from services.ingest.inventories import KEPT_VERSIONS, Inventories
from services.ingest.messages import Handshake
from tests.support.ingest import HANDSHAKE, WORKSPACE, Enrolled, Ingest


async def tell(ingest: Ingest, agent: Enrolled, **inventory: Any) -> Any:  # noqa: ANN401  (JSON)
    return await ingest.post("handshake", {**HANDSHAKE, "inventory": inventory}, agent)


async def versions(ingest: Ingest) -> list[Any]:
    rows = await ingest.pool.fetch("SELECT difference FROM inventory_changes ORDER BY at, id")
    return [msgspec.json.decode(row["difference"]) for row in rows]


async def latest(ingest: Ingest) -> Any:  # noqa: ANN401  (JSON)
    return msgspec.json.decode(await ingest.pool.fetchval("SELECT inventory FROM inventories"))


async def test_first_inventory_differs_from_nothing(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("handshake", HANDSHAKE, agent)
    assert HANDSHAKE["inventory"] == await latest(ingest)
    (first,) = await versions(ingest)
    assert [None, "6.12"] == first["os.kernel"]
    assert [None, HANDSHAKE["inventory"]["disks"]] == first["disks"]
    row = await ingest.pool.fetchrow("SELECT workspace_id, server_id, told_at, changed_at FROM inventories")
    assert (WORKSPACE, agent.server_id, ingest.clock.now(), ingest.clock.now()) == tuple(row)


async def test_repeated_handshake_changes_nothing(ingest: Ingest, agent: Enrolled) -> None:
    await ingest.post("handshake", HANDSHAKE, agent)
    before = await ingest.pool.fetch("SELECT xmin, * FROM inventories")
    ingest.clock.advance(60)
    for _ in range(3):
        assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code
    assert before == await ingest.pool.fetch("SELECT xmin, * FROM inventories")
    assert 1 == len(await versions(ingest))


async def test_change_of_a_key_fact_is_a_version(ingest: Ingest, agent: Enrolled) -> None:
    await tell(ingest, agent, cores=4, memory_bytes=8, gone=1)
    ingest.clock.advance(60)
    await tell(ingest, agent, cores=8, memory_bytes=8, new=[1, {"a": None}])
    assert {"cores": [4, 8], "gone": [1, None], "new": [None, [1, {"a": None}]]} == (await versions(ingest))[1]


async def test_passing_facts_are_kept_without_a_version(ingest: Ingest, agent: Enrolled) -> None:
    await tell(ingest, agent, cores=4, boot_time="2026-01-01T00:00:00Z", packages=100)
    first = ingest.clock.now()
    ingest.clock.advance(60)
    await tell(ingest, agent, cores=4, boot_time="2026-01-02T00:00:00Z", packages=101)
    assert 1 == len(await versions(ingest))
    assert {"cores": 4, "boot_time": "2026-01-02T00:00:00Z", "packages": 101} == await latest(ingest)
    assert (ingest.clock.now(), first) == tuple(
        await ingest.pool.fetchrow("SELECT told_at, changed_at FROM inventories")
    )


async def test_versions_that_come_at_once_follow_each_other(ingest: Ingest, agent: Enrolled) -> None:
    answers = await asyncio.gather(*(tell(ingest, agent, cores=n) for n in range(3)))
    assert {200} == {answer.status_code for answer in answers}
    changes = [version["cores"] for version in await versions(ingest)]
    assert [None, *(after for _, after in changes)][:-1] == [before for before, _ in changes]
    assert (await latest(ingest))["cores"] == changes[-1][1]


async def test_only_so_many_versions_are_kept(ingest: Ingest, agent: Enrolled) -> None:
    inventories = Inventories(ingest.pool)
    identity = AgentIdentity.of(agent.agent_id, agent.server_id, WORKSPACE)
    for cores in range(KEPT_VERSIONS + 3):
        await inventories.keep(identity, Handshake(boot_id="b", inventory={"cores": cores}), ingest.clock.now())
    found = await versions(ingest)
    assert KEPT_VERSIONS == len(found)
    assert {"cores": [KEPT_VERSIONS + 1, KEPT_VERSIONS + 2]} == found[-1]
    passing = {"cores": KEPT_VERSIONS + 2, "packages": 101}
    await inventories.keep(identity, Handshake(boot_id="b", inventory=passing), ingest.clock.now())
    assert found == await versions(ingest)


@pytest.mark.parametrize(
    ("inventory", "field"),
    [
        ({"a": json.loads("[" * 32 + "]" * 32)}, "inventory"),
        ({"disks": [{"device": "a\0b"}]}, "inventory.disks[0].device"),
        ({"disks": [{"a\0": 1}]}, "inventory.disks[0]"),
        ({"cores": 2**64}, "inventory.cores"),
        ({"text": "x" * 70_000}, "inventory"),
        ({"list": list(range(20_000))}, "inventory"),
    ],
)
async def test_inventory_that_cannot_be_kept_is_refused(
    ingest: Ingest, agent: Enrolled, inventory: dict[str, Any], field: str
) -> None:
    before = await ingest.versions()
    answer = await ingest.post(
        "handshake", b'{"boot_id":"b","inventory":' + json.dumps(inventory).encode() + b"}", agent
    )
    problem = answer.json()
    assert (422, "invalid_inventory", field) == (
        answer.status_code,
        problem["code"],
        problem["errors"][0]["field"],
    )
    assert (before, []) == (await ingest.versions(), await versions(ingest))


async def test_handshake_whose_inventory_cannot_be_kept_now_is_to_be_repeated(ingest: Ingest, agent: Enrolled) -> None:
    before = await ingest.versions()
    await ingest.pool.execute("ALTER TABLE inventories RENAME TO elsewhere")
    await ingest.pool.execute(
        "CREATE FUNCTION away() RETURNS SETOF elsewhere LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'away' USING ERRCODE = 'too_many_connections'; END $$; "
        "CREATE VIEW inventories AS SELECT * FROM away()"
    )
    answer = await ingest.post("handshake", HANDSHAKE, agent)
    assert 503 == answer.status_code
    assert "retry-after" in answer.headers
    assert before == await ingest.versions()
    await ingest.pool.execute("DROP VIEW inventories; ALTER TABLE elsewhere RENAME TO inventories")
    assert 200 == (await ingest.post("handshake", HANDSHAKE, agent)).status_code
    assert 1 == len(await versions(ingest))


async def test_inventory_of_another_workspace_with_the_same_server_id_is_another(
    ingest: Ingest, agent: Enrolled
) -> None:
    inventories = Inventories(ingest.pool)
    await tell(ingest, agent, cores=4)
    theirs = AgentIdentity.of("a_theirs", agent.server_id, "w_theirs")
    await inventories.keep(theirs, Handshake(boot_id="b", inventory={"cores": 9}), ingest.clock.now())
    rows: list[asyncpg.Record] = await ingest.pool.fetch("SELECT workspace_id, inventory FROM inventories ORDER BY 1")
    assert [(WORKSPACE, {"cores": 4}), ("w_theirs", {"cores": 9})] == [
        (row["workspace_id"], msgspec.json.decode(row["inventory"])) for row in rows
    ]
