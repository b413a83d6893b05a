"""Samples in bulk: one a line, and encoded, as much as fits; what is wrong with a body costs nobody else anything."""

import gzip
import sys
from typing import Any

import msgspec
import pytest

from services.ingest.content import MAX_DECODED_BYTES
from services.ingest.door import MAX_BODY_BYTES
from tests.support.ingest import Enrolled, Ingest, running_ingest
from tests.support.log import open_log

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NDJSON = {"Content-Type": "application/x-ndjson"}
ENCODERS: dict[str, Any] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress}
encoded = pytest.mark.parametrize("encoding", ENCODERS)


def sample(seq: int, **fields: object) -> dict[str, object]:
    return {"ts": "2026-01-02T03:04:05Z", "boot_id": "boot-1", "seq": seq, "cpu_percent": 12.5, **fields}


def lines(*samples: object) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in samples)


async def test_one_sample_a_line(ingest: Ingest, agent: Enrolled) -> None:
    body = lines(*[sample(seq) for seq in range(1, 1001)])
    answer = await ingest.post("metrics", body, agent, NDJSON)
    assert (202, {"accepted": 1000, "rejected": []}) == (answer.status_code, answer.json())
    assert sample(1000) == await ingest.record("metrics", agent.server_id)
    answer = await ingest.post("metrics", lines(sample(1000), sample(1001)).rstrip(), agent, NDJSON)
    assert 2 == answer.json()["accepted"]
    assert 1001 == (await ingest.versions())["metrics"]


async def test_bad_lines_are_told_by_their_place_among_those_that_are_not_empty(
    ingest: Ingest, agent: Enrolled
) -> None:
    bad = b'\n{"ts":\n"}\n\xff\n[]\n5\n\n' + lines(sample(2, load1=-1)) + b'{"ts":"2026-01-02T03:04:05Z"}\n'
    answer = await ingest.post("metrics", lines(sample(1)) + bad + lines(sample(3)), agent, NDJSON)
    taken = answer.json()
    assert (202, 2) == (answer.status_code, taken["accepted"])
    assert [1, 2, 3, 4, 5, 6, 7] == [each["index"] for each in taken["rejected"]]
    assert "load1" in taken["rejected"][5]["message"]
    assert sample(3) == await ingest.record("metrics", agent.server_id)


async def test_sample_over_two_lines_is_none(ingest: Ingest, agent: Enrolled) -> None:
    halves = b'{"ts":"2026-01-02T03:04:05Z",\n"load1":1}\n'
    answer = await ingest.post("metrics", halves, agent, NDJSON)
    assert (0, 2) == (answer.json()["accepted"], len(answer.json()["rejected"]))


async def test_too_many_lines(ingest: Ingest, agent: Enrolled) -> None:
    for body in (lines(*[{}] * 1001), b"\n" * 900_000):
        answer = await ingest.post("metrics", body, agent, NDJSON)
        assert (413, "too_many_samples") == (answer.status_code, answer.json()["code"])


@encoded
async def test_encoded_bodies_of_each_form(ingest: Ingest, agent: Enrolled, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    bodies = [
        (msgspec.json.encode(sample(1)), {}),
        (msgspec.json.encode([sample(2), sample(3)]), {}),
        (lines(sample(4), sample(5)), NDJSON),
    ]
    for body, extra in bodies:
        answer = await ingest.post("metrics", ENCODERS[encoding](body), agent, headers | extra)
        assert (202, []) == (answer.status_code, answer.json()["rejected"])
    assert 5 == (await ingest.versions())["metrics"]


async def test_identity_is_no_encoding(ingest: Ingest, agent: Enrolled) -> None:
    answer = await ingest.post("metrics", sample(1), agent, {"Content-Encoding": "Identity"})
    assert 202 == answer.status_code


@encoded
async def test_array_larger_than_a_body_may_be_is_taken_when_encoded(
    ingest: Ingest, agent: Enrolled, encoding: str
) -> None:
    disks = [{"name": "x" * 200, "n": n} for n in range(8)]
    body = msgspec.json.encode([sample(seq, disks=disks) for seq in range(1, 1001)])
    assert MAX_BODY_BYTES < len(body) < MAX_DECODED_BYTES
    answer = await ingest.post("metrics", ENCODERS[encoding](body), agent, {"Content-Encoding": encoding})
    assert (202, 1000) == (answer.status_code, answer.json()["accepted"])


@encoded
async def test_bombs_are_too_large(ingest: Ingest, agent: Enrolled, encoding: str) -> None:
    bombs = [b" " * 200_000_000, b"[" + b"0," * (MAX_DECODED_BYTES // 2) + b"0]"]
    for bomb in bombs:
        body = ENCODERS[encoding](bomb)
        assert len(body) <= MAX_BODY_BYTES
        answer = await ingest.post("metrics", body, agent, {"Content-Encoding": encoding})
        assert (413, "too_large") == (answer.status_code, answer.json()["code"])
        ingest.clock.advance(60)  # what was decoded of it is owed
    body = ENCODERS[encoding](b"[" + b"0," * (MAX_DECODED_BYTES // 2 - 100) + b"0]")
    answer = await ingest.post("metrics", body, agent, {"Content-Encoding": encoding})
    assert (413, "too_many_samples") == (answer.status_code, answer.json()["code"])


@encoded
async def test_body_that_breaks_off_or_is_damaged_is_bad(ingest: Ingest, agent: Enrolled, encoding: str) -> None:
    body = ENCODERS[encoding](msgspec.json.encode([sample(n) for n in range(1, 50)]))
    for bad in (b"", body[:-1], body[: len(body) // 2], b"x" + body[1:], body + b"x", msgspec.json.encode(sample(1))):
        answer = await ingest.post("metrics", bad, agent, {"Content-Encoding": encoding})
        assert (400, "bad_request") == (answer.status_code, answer.json()["code"])
    assert await ingest.record("metrics", agent.server_id) is None


@pytest.mark.parametrize("encoding", ["br", "deflate", "snappy", "gzip, gzip", "gzip,zstd", "x" * 500])
async def test_other_encodings_are_refused_with_those_that_are_taken(
    ingest: Ingest, agent: Enrolled, encoding: str
) -> None:
    answer = await ingest.post("metrics", b"{}", agent, {"Content-Encoding": encoding})
    assert (415, "unsupported_encoding") == (answer.status_code, answer.json()["code"])
    assert "gzip, zstd" == answer.headers["accept-encoding"]


async def test_encodings_in_several_headers_are_refused(ingest: Ingest, agent: Enrolled) -> None:
    headers = [("Authorization", f"Bearer {agent.secret}"), ("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")]
    answer = await ingest.http.post("/ingest/v1/metrics", content=gzip.compress(b"{}"), headers=headers)
    assert 415 == answer.status_code


async def test_undoing_an_encoding_counts_against_what_an_agent_may_send(redis_url: str, database_url: str) -> None:
    async with running_ingest(redis_url, database_url, samples_per_s=10, samples_at_once=1000) as ingest:
        await open_log(ingest.redis)
        agent, other = await ingest.enrol(), await ingest.enrol()
        body = gzip.compress(msgspec.json.encode(sample(1)) + b" " * 900_000)
        headers = {"Content-Encoding": "gzip"}
        for _ in range(2):  # the second one gets it into debt
            assert 202 == (await ingest.post("metrics", body, agent, headers)).status_code
        refused = await ingest.post("metrics", body, agent, headers)
        assert (429, "too_many_requests") == (refused.status_code, refused.json()["code"])
        assert 202 == (await ingest.post("metrics", body, other, headers)).status_code
