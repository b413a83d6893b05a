"""What a client has missed comes from the log, whole and in parts that fit, or not at all."""

import json
import random
from typing import Any

import httpx
import pytest

from shared.errors import MustRefetch
from shared.names import PartitionKeys, Topic, partition_of
from shared.operation import Draft, Operation
from shared.protocol import Since
from shared.topic import Record, Snapshot
from tests.support.api import OTHER_WORKSPACE, WORKSPACE, Api
from tests.support.log import open_log

CHANGES = "/api/sync/changes"
SERVERS = Topic(WORKSPACE, "servers")
KEYS = PartitionKeys(partition_of(WORKSPACE))


@pytest.fixture
def api(unapplied_api: Api) -> Api:
    """Give an api; what was missed is read from the log, whoever applies it."""
    return unapplied_api


async def append(api: Api, *drafts: Draft, topic: Topic = SERVERS) -> int:
    return (await api.log.append(Operation(topic=topic, drafts=drafts, actor="test"))).version


def put(record_id: str, **data: object) -> Draft:
    return Draft(id=record_id, action="put", data=json.dumps(data).encode())


def delete(record_id: str) -> Draft:
    return Draft(id=record_id, action="delete")


async def ask(api: Api, since: object, *, who: str = "viewer", topic: str = "servers", epoch: str = "1") -> Any:  # noqa: ANN401  (JSON)
    answer = await request(api, who, topic=topic, epoch=epoch, since=since)
    assert 200 == answer.status_code, answer.text
    return answer.json()


async def request(api: Api, who: str = "viewer", **parameters: object) -> httpx.Response:
    """Ask with these parameters; one that is a list is repeated, or left out when it is empty."""
    return await api.http.get(CHANGES, headers=await api.let_in(who), params=parameters)  # type: ignore[arg-type]  # whatever a test wants to send


async def test_what_was_missed_is_the_last_change_of_each_record(api: Api) -> None:
    await append(api, put("s_1", n=1))
    await append(api, put("s_1", n=2), put("s_2", n=3))
    await append(api, delete("s_2"), put("s_3", n=5))
    expected = {
        "topic": "servers",
        "workspace": WORKSPACE,
        "epoch": "1",
        "prev": 1,
        "version": 5,
        "changes": [
            {"id": "s_1", "action": "updated", "version": 2, "data": {"n": 2}},
            {"id": "s_2", "action": "deleted", "version": 4, "data": None},
            {"id": "s_3", "action": "created", "version": 5, "data": {"n": 5}},
        ],
        "more": False,
    }
    assert expected == await ask(api, 1)


async def test_nothing_missed_is_an_empty_answer(api: Api) -> None:
    for version in (0, 1):
        answer = await ask(api, version)
        assert (version, version, [], False) == tuple(answer[key] for key in ("prev", "version", "changes", "more"))
        await append(api, put("s_1"))


async def test_a_member_who_may_read_learns_of_no_other_topic_and_workspace(api: Api) -> None:
    await append(api, put("s_ours"))
    await append(api, put("s_theirs"), topic=Topic(OTHER_WORKSPACE, "servers"))
    await append(api, put("a_ours"), topic=Topic(WORKSPACE, "agents"))
    for who, topic, expected in (
        ("viewer", "servers", ["s_ours"]),
        ("owner", "servers", ["s_ours"]),
        ("stranger", "servers", ["s_theirs"]),
        ("viewer", "agents", ["a_ours"]),
        ("stranger", "agents", []),
    ):
        answer = await ask(api, 0, who=who, topic=topic)
        assert expected == [change["id"] for change in answer["changes"]], (who, topic)
    assert 403 == (await request(api, "nobody", topic="servers", epoch="1", since=0)).status_code


async def test_a_workspace_of_the_same_partition_is_as_closed_as_any(api: Api) -> None:
    neighbour = next(name for name in (f"w_{n}" for n in range(1000)) if partition_of(name) == partition_of(WORKSPACE))
    await append(api, put("s_ours"))
    for number in range(3):
        await append(api, put(f"s_{number}"), topic=Topic(neighbour, "servers"))
    answer = await ask(api, 0)
    assert (1, ["s_ours"]) == (answer["version"], [change["id"] for change in answer["changes"]])


async def test_more_than_fits_comes_in_parts_that_follow_each_other(api: Api) -> None:
    for number in range(7):
        await append(api, put(f"s_{number}", notes=str(number) * 100_000))
    version, more, found = 0, True, []
    while more:
        answer = await ask(api, version)
        assert version == answer["prev"]
        assert len(json.dumps(answer)) < 300_000
        found.append([change["id"] for change in answer["changes"]])
        version, more = answer["version"], answer["more"]
    assert (7, [["s_0", "s_1"], ["s_2", "s_3"], ["s_4", "s_5"], ["s_6"]]) == (version, found)


def assert_must_refetch(answer: httpx.Response) -> None:
    assert (409, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    body = answer.json()
    assert ("must_refetch", "must_refetch", 409) == (body["error"], body["code"], body["status"])
    assert {"type", "title", "detail"} < set(body)


async def test_a_log_that_was_trimmed_answers_from_where_it_still_reaches(api: Api) -> None:
    for number in range(4):
        await append(api, put("s_1", n=number))
    await api.redis.xtrim(KEYS.log, maxlen=2, approximate=False)
    assert [4] == [change["version"] for change in (await ask(api, 2))["changes"]]
    for version in (0, 1):
        assert_must_refetch(await request(api, topic="servers", epoch="1", since=version))
    await api.redis.xtrim(KEYS.log, maxlen=0, approximate=False)
    assert [] == (await ask(api, 4))["changes"]
    assert_must_refetch(await request(api, topic="servers", epoch="1", since=3))


async def test_a_hole_in_the_log_is_never_stepped_over(api: Api) -> None:
    for number in range(3):
        await append(api, put(f"s_{number}"))
    (_, (lost, _), _) = await api.redis.xrange(KEYS.log, min="1-1")
    await api.redis.xdel(KEYS.log, lost)
    assert_must_refetch(await request(api, topic="servers", epoch="1", since=0))
    assert ["s_2"] == [change["id"] for change in (await ask(api, 2))["changes"]]


async def test_another_epoch_is_not_answered(api: Api) -> None:
    await append(api, put("s_1"), put("s_2"))
    await open_log(api.redis, epoch=2)
    await append(api, put("s_3"))
    for epoch, version in (("1", 0), ("1", 1), ("1", 2), ("3", 0), ("3", 1), ("02", 1), ("99999999999999999999", 1)):
        assert_must_refetch(await request(api, topic="servers", epoch=epoch, since=version))
    assert ["s_3"] == [change["id"] for change in (await ask(api, 0, epoch="2"))["changes"]]


async def test_a_version_of_before_the_epoch_is_not_answered(api: Api) -> None:
    await append(api, put("s_1"), put("s_2"))
    await open_log(api.redis, epoch=2)
    await api.redis.hset(KEYS.versions, str(SERVERS), "2")  # type: ignore[misc]  # redis-py types it for both of its clients
    await append(api, put("s_3"))
    assert [3] == [change["version"] for change in (await ask(api, 2, epoch="2"))["changes"]]
    assert_must_refetch(await request(api, topic="servers", epoch="2", since=1))


async def test_a_version_that_never_was_is_not_answered(api: Api) -> None:
    await append(api, put("s_1"))
    for version in (2, 2**53 - 1):
        assert_must_refetch(await request(api, topic="servers", epoch="1", since=version))


async def test_a_sealed_log_is_a_passing_fault(sealed_api: Api) -> None:
    answer = await request(sealed_api, topic="servers", epoch="1", since=0)
    assert (503, "log_sealed") == (answer.status_code, answer.json()["code"])
    assert int(answer.headers["retry-after"]) >= 1


async def test_an_unknown_topic_is_not_found(api: Api) -> None:
    for topic in ("planets", "", "Servers", "servers:servers", "%00"):
        answer = await request(api, topic=topic, epoch="1", since=0)
        assert (404, "unknown_topic") == (answer.status_code, answer.json()["code"]), topic


async def test_a_wrong_parameter_is_named(api: Api) -> None:
    right: dict[str, object] = {"topic": "servers", "epoch": "1", "since": 0}
    wrong: list[tuple[str, object]] = [
        *((name, []) for name in right),
        *((name, [right[name]] * 2) for name in right),
        *(("epoch", text) for text in ("", "x", "-1", "1\n", "\u0661", "9" * 21)),
        *(("since", text) for text in ("", "x", "-1", "1.0", "+1", " 1", "1_0", str(2**53), "9" * 5000)),
        ("colour", "red"),
    ]
    for name, value in wrong:
        answer = await request(api, "viewer", **right | {name: value})
        fields = [error["field"] for error in answer.json()["errors"]]
        assert (400, "bad_request", [name]) == (answer.status_code, answer.json()["code"], fields), (name, value)


async def test_all_wrong_parameters_are_named_at_once(api: Api) -> None:
    answer = await request(api, epoch="x", since="x")
    assert ["topic", "epoch", "since"] == [error["field"] for error in answer.json()["errors"]]


async def test_the_document_says_what_is_asked_for_and_what_409_looks_like(api: Api) -> None:
    document = (await api.http.get("/api/openapi.json")).json()
    operation = document["paths"][CHANGES]["get"]
    described = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    assert [True] * 3 == [described[name]["required"] for name in ("topic", "epoch", "since")]
    assert (0, 2**53 - 1) == tuple(described["since"]["schema"][bound] for bound in ("minimum", "maximum"))
    refetch = operation["responses"]["409"]["content"]["application/problem+json"]["schema"]
    assert "error" in document["components"]["schemas"][refetch["$ref"].rpartition("/")[2]]["properties"]


async def test_what_is_read_is_bounded_by_entries_of_the_whole_partition(api: Api) -> None:
    await append(api, put("s_1"))
    for number in range(7):
        await append(api, put(f"a_{number}"), topic=Topic(WORKSPACE, "agents"))
    reader = api.parts.log_reader
    for page in (1, 2, 3, 7, 8, 9, 500):
        missed = await reader.missed(SERVERS, Since("1", 0), entries=8, page=page)
        assert ["s_1"] == [change.id for change in missed.span.changes]
        with pytest.raises(MustRefetch):
            await reader.missed(SERVERS, Since("1", 0), entries=7, page=page)


@pytest.mark.parametrize("seed", range(4))
async def test_a_snapshot_and_what_was_missed_give_the_later_snapshot(api: Api, seed: int) -> None:
    chance = random.Random(seed)
    reader = api.parts.log_reader
    history = {0: await reader.snapshot(SERVERS)}

    async def edit_something() -> None:
        topic = chance.choice((SERVERS, SERVERS, Topic(WORKSPACE, "agents")))
        records = [f"s_{number}" for number in chance.sample(range(6), chance.randint(1, 4))]
        drafts = [chance.choice((delete, put, put))(record_id) for record_id in records]
        await append(api, *drafts, topic=topic)
        now = await reader.snapshot(SERVERS)
        history[now.version] = now

    for _ in range(30):
        await edit_something()
    for version in list(history):
        held = records_of(history[version])
        more = True
        while more:
            page, answer_bytes = chance.randint(1, 12), chance.randint(1, 1500)
            missed = await reader.missed(SERVERS, Since("1", version), page=page, answer_bytes=answer_bytes)
            assert version == missed.span.prev
            for change in missed.span.changes:
                held.pop(change.id, None)
                if change.data is not None:
                    held[change.id] = Record(change.id, change.version, bytes(change.data))
            version, more = missed.span.version, missed.more  # noqa: PLW2901  (the client's own)
            if version in history:
                assert records_of(history[version]) == held
            if chance.random() < 0.1:
                await edit_something()
        assert version in history


def records_of(snapshot: Snapshot) -> dict[str, Record]:
    return {record.id: record for record in snapshot.records}
