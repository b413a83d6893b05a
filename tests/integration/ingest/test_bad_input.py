"""Bad input at every door: the error in RFC 9457's form, nothing stored, nothing crashed."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.ingest.door import MAX_BODY_BYTES
from tests.support import valkey
from tests.support.ingest import HANDSHAKE, MACHINE, SHARED_TOKEN, Enrolled, Ingest, running_ingest
from tests.support.log import open_log
from tests.support.postgres import PostgresServer

TS = b'"ts":"2026-01-02T03:04:05Z"'
DEEP = b"[" * 10_000 + b"]" * 10_000
DOORS = ("enroll", "handshake", "metrics", "status")
GOOD: dict[str, dict[str, object]] = {
    "enroll": {"token": SHARED_TOKEN, **MACHINE},
    "handshake": HANDSHAKE,
    "status": {"healthy": True},
}
OTHER_SHAPES = (b"null", b"5", b'"text"', b"true", b"{}")
NOT_JSON = {
    "not JSON": b"cpu=5",
    "empty": b"",
    "truncated": b'{"ts":',
    "not UTF-8": b'{"ts":"\xff"}',
    "half a surrogate": b'{"ts":"\\ud800"}',
    "NaN": b"{" + TS + b',"cpu_percent":NaN}',
    "Infinity": b"{" + TS + b',"cpu_percent":-Infinity}',
    "two values": b"{}{}",
    "an open array": b"[" * 10_000,
    "nested too deeply": DEEP,
    "nested too deeply in an unknown field": b"{" + TS + b',"cpu_percent":1,"x":' + DEEP + b"}",
}


@pytest_asyncio.fixture(scope="module")
async def ingest(valkey_url: str, postgres_server: PostgresServer) -> AsyncIterator[Ingest]:
    """Give one ingest to all of these tests: none of them changes anything."""
    valkey.clean(valkey_url)
    async with postgres_server.new_database() as database_url, running_ingest(valkey_url, database_url) as ingest:
        await open_log(ingest.redis)
        yield ingest


@pytest_asyncio.fixture(scope="module")
async def agent(ingest: Ingest) -> Enrolled:
    """Give an agent that has enrolled."""
    return await ingest.enrol()


@pytest_asyncio.fixture(autouse=True)
async def forgiven(ingest: Ingest) -> None:
    """Forget how often we were refused, and what the agent owes."""
    ingest.clock.advance(60)
    async for key in ingest.redis.scan_iter("muster:throttle:*"):
        await ingest.redis.delete(key)


async def stored(ingest: Ingest) -> tuple[dict[str, int], int]:
    return await ingest.versions(), await ingest.pool.fetchval("SELECT count(*) FROM agent_credentials")


async def refused(ingest: Ingest, path: str, body: object, agent: Enrolled | None) -> tuple[int, str]:
    """Send what must be refused; return the status and the code, having checked the form."""
    before = await stored(ingest)
    answer = await ingest.post(path, body, agent)
    problem = answer.json()
    assert "application/problem+json" == answer.headers["content-type"]
    assert {"type", "title", "status", "detail", "code", "errors"} == set(problem)
    assert answer.status_code == problem["status"]
    assert answer.headers["x-request-id"]
    assert before == await stored(ingest)
    return answer.status_code, problem["code"]


@pytest.mark.parametrize("what", NOT_JSON)
@pytest.mark.parametrize("path", DOORS)
async def test_what_is_no_json(ingest: Ingest, agent: Enrolled, path: str, what: str) -> None:
    assert (400, "bad_request") == await refused(ingest, path, NOT_JSON[what], agent)


@pytest.mark.parametrize("path", DOORS)
async def test_body_that_is_too_large(ingest: Ingest, agent: Enrolled, path: str) -> None:
    body = b"{" + b" " * MAX_BODY_BYTES + b"}"
    assert (413, "too_large") == await refused(ingest, path, body, agent)


@pytest.mark.parametrize(
    ("path", "body"),
    # a status may leave everything out
    [(path, body) for path in DOORS for body in OTHER_SHAPES if (path, body) != ("status", b"{}")],
)
async def test_json_of_another_shape(ingest: Ingest, agent: Enrolled, path: str, body: bytes) -> None:
    status, code = await refused(ingest, path, body, agent)
    assert (422, "invalid_sample" if path == "metrics" else "invalid") == (status, code)


@pytest.mark.parametrize(
    ("path", "wrong", "field"),
    [
        ("enroll", {"hostname": 5}, "hostname"),
        ("enroll", {"hostname": ""}, "hostname"),
        ("enroll", {"machine_id": None}, "machine_id"),
        ("enroll", {"hostname": "nul\x00"}, "hostname"),
        ("enroll", {"name": "x" * 201}, "name"),
        ("enroll", {"groups": ["x"] * 65}, "groups"),
        ("enroll", {"groups": "web"}, "groups"),
        ("enroll", {"agent_id": "a b"}, "agent_id"),
        ("enroll", {"agent_id": "a_b\n"}, "agent_id"),
        ("enroll", {"token": "x" * 201}, "token"),
        ("handshake", {"boot_id": ""}, "boot_id"),
        ("handshake", {"interval_s": 0}, "interval_s"),
        ("handshake", {"interval_s": -5}, "interval_s"),
        ("handshake", {"interval_s": "5"}, "interval_s"),
        ("handshake", {"os": "Debian"}, "os"),
        ("handshake", {"os": {"name": 5}}, "os.name"),
        ("handshake", {"inventory": []}, "inventory"),
        ("status", {"healthy": "yes"}, "healthy"),
        ("status", {"clients_count": -1}, "clients_count"),
        ("status", {"clients_count": 2**53}, "clients_count"),
        ("status", {"sync_revision": 1.5}, "sync_revision"),
        ("status", {"groups": [""]}, "groups[0]"),
    ],
)
async def test_wrong_value_is_named(
    ingest: Ingest, agent: Enrolled, path: str, wrong: dict[str, object], field: str
) -> None:
    answer = await ingest.post(path, GOOD[path] | wrong, agent)
    assert (422, "invalid") == (answer.status_code, answer.json()["code"])
    assert [field] == [error["field"] for error in answer.json()["errors"]]
    assert (422, "invalid") == await refused(ingest, path, GOOD[path] | wrong, agent)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (b'"cpu_percent":"5"', "cpu_percent"),
        (b'"cpu_percent":100.1', "cpu_percent"),
        (b'"cpu_percent":1e999', "cpu_percent"),
        (b'"mem_used":-1', "mem_used"),
        (b'"mem_used":1.5', "mem_used"),
        (b'"mem_used":true', "mem_used"),
        (b'"mem_used":99999999999999999999', "mem_used"),
        (b'"seq":-1,"load1":1', "seq"),
        (b'"boot_id":"a b","load1":1', "boot_id"),
        (b'"boot_id":"a\\n","load1":1', "boot_id"),
        (b'"disks":[{"used":[1]}]', "disks[0].used"),
        (b'"gpus":[{"name":"\\u0000"}]', "gpus[0].name"),
        (b'"battery":{"percent":101}', "battery.percent"),
        (b'"cpu_cores":[5,-1]', "cpu_cores[1]"),
        (b'"temperatures":{"cpu":1e999}', "temperatures[...]"),
    ],
)
async def test_wrong_value_of_a_sample_is_named(ingest: Ingest, agent: Enrolled, fields: bytes, field: str) -> None:
    body = b"{" + TS + b"," + fields + b"}"
    answer = await ingest.post("metrics", body, agent)
    assert [field] == [error["field"] for error in answer.json()["errors"]]
    assert (422, "invalid_sample") == await refused(ingest, "metrics", body, agent)
    listed = await ingest.post("metrics", b"[" + body + b"]", agent)
    assert (202, 0, 1) == (listed.status_code, listed.json()["accepted"], len(listed.json()["rejected"]))
    assert await ingest.record("metrics", agent.server_id) is None


@pytest.mark.parametrize("ts", [b"5", b'"yesterday"', b'"2026-01-02T03:04:05"', b'"2026-13-01T00:00:00Z"', b"null"])
async def test_wrong_time_of_a_sample(ingest: Ingest, agent: Enrolled, ts: bytes) -> None:
    assert (422, "invalid_sample") == await refused(ingest, "metrics", b'{"load1":1,"ts":' + ts + b"}", agent)


async def test_too_many_samples(ingest: Ingest, agent: Enrolled) -> None:
    body = b"[" + b",".join([b"{" + TS + b',"load1":1}'] * 1001) + b"]"
    assert (413, "too_many_samples") == await refused(ingest, "metrics", body, agent)


async def test_no_samples_at_all(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("metrics", b" [] ", agent)
    assert (202, {"accepted": 0, "rejected": []}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("path", ["handshake", "metrics", "status", "disconnect"])
@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer ", "Basic dTpw", "wrong", "Bearer " + "x" * 500]
)
async def test_wrong_secret_is_refused_before_the_body_is_looked_at(
    ingest: Ingest, agent: Enrolled, path: str, authorization: str | None
) -> None:
    before = await stored(ingest)
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await ingest.post(path, b"cpu=5", headers=headers)
    assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
    assert before == await stored(ingest)
    assert agent.secret not in answer.text


async def test_other_methods_and_paths(ingest: Ingest, agent: Enrolled) -> None:
    for path in (*DOORS, "disconnect"):
        answer = await ingest.http.get(f"/ingest/v1/{path}", headers=agent.headers)
        assert (405, "method_not_allowed") == (answer.status_code, answer.json()["code"])
        assert "POST" in answer.headers["allow"]
    answer = await ingest.http.post("/ingest/v1/nothing", headers=agent.headers)
    assert (404, "not_found") == (answer.status_code, answer.json()["code"])


async def test_body_without_a_length_is_cut_off(ingest: Ingest, agent: Enrolled) -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 100 * MAX_BODY_BYTES:
            sent_bytes += 100_000
            yield b" " * 100_000

    answer = await ingest.http.post("/ingest/v1/metrics", content=endless(), headers=agent.headers)
    assert (413, "too_large") == (answer.status_code, answer.json()["code"])
    assert "close" == answer.headers["connection"]
    assert sent_bytes < 2 * MAX_BODY_BYTES
