"""Prometheus remote write: what node_exporter measures becomes samples of the agent whose credential it is."""

import struct
from typing import Any

import httpx
import msgspec
import pytest

from services.ingest.senders.sender_intake import MAX_DECODED_BYTES
from shared.names import Topic
from tests.support.ingest import WORKSPACE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log, recent
from tests.support.remote_write import AT_MS, Series, node_series, snappy, varint, write_request

METRICS = Topic(WORKSPACE, "metrics")
PATH = "/ingest/prometheus/write"
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
SAMPLE: dict[str, object] = {
    "load1": 0.5,
    "load5": 0.75,
    "load15": 1.25,
    "mem_used": 600,
    "mem_total": 1000,
    "swap_used": 10,
    "swap_total": 50,
    "disk_used": 70,
    "disk_total": 100,
    "net_rx_total": 1000,
    "net_tx_total": 500,
    "tcp_connections": 9,
    "udp_connections": 7,
    "uptime_s": 12345.0,
}


async def write(ingest: Ingest, body: bytes, agent: Enrolled | None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    proof = agent.headers if agent else {}
    return await ingest.http.post(PATH, content=body, headers=HEADERS | proof | named)


def encoded(series: list[Series]) -> bytes:
    return snappy(write_request(series))


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status_code, answer.json()["code"]


async def stored(ingest: Ingest) -> list[dict[str, Any]]:
    entries = await recent(ingest.redis, METRICS, entries=1000)
    return [msgspec.json.decode(change.data) for entry in entries for change in entry.changes if change.data]


async def test_a_scrape_becomes_the_latest_sample(ingest: Ingest, agent: Enrolled) -> None:
    answer = await write(ingest, encoded(node_series()), agent)
    assert (204, b"") == (answer.status_code, answer.content)
    record = await ingest.record("metrics", agent.server_id)
    assert (1, True) == (record.pop("seq"), bool(record.pop("boot_id")))
    assert SAMPLE | {"ts": "2026-01-02T03:04:05Z"} == record


async def test_two_scrapes_in_a_request_give_rates(ingest: Ingest, agent: Enrolled) -> None:
    await write(ingest, encoded(node_series([AT_MS - 15_000, AT_MS])), agent)
    first, second = await stored(ingest)
    names = ("cpu_percent", "disk_read_rate", "disk_write_rate", "net_rx_rate", "net_tx_rate")
    assert [None] * 5 == [first.get(name) for name in names]
    assert [40.0, 10.0, 20.0, 10.0, 5.0] == [second[name] for name in names]


async def test_what_is_sent_again_is_stored_once(ingest: Ingest, agent: Enrolled) -> None:
    for at_ms in (AT_MS - 15_000, AT_MS, AT_MS, AT_MS - 15_000):
        assert 204 == (await write(ingest, encoded(node_series([at_ms])), agent)).status_code
    assert 2 == len(await stored(ingest))


async def test_series_that_mean_nothing_here_are_passed_by(ingest: Ingest, agent: Enrolled) -> None:
    others: list[Series] = [({"__name__": f"other_{n}", "x": "y" * 1000}, [(AT_MS, 1.0)]) for n in range(500)]
    nan = struct.unpack("<d", b"\x02\x00\x00\x00\x00\x00\xf0\x7f")[0]  # says that a series is over
    odd: list[Series] = [
        ({"__name__": "node_load1"}, [(AT_MS, nan), (0, 1.0), (-5, 1.0), (2**63 - 1, 1.0)]),
        ({"__name__": "node_load5"}, []),
        ({}, [(AT_MS, 1.0)]),
    ]
    assert 204 == (await write(ingest, encoded(others + odd), agent)).status_code
    assert [] == await stored(ingest)
    assert 204 == (await write(ingest, encoded([]), agent)).status_code


async def test_metadata_and_fields_of_later_versions_are_passed_by(ingest: Ingest, agent: Enrolled) -> None:
    metadata = varint(3 << 3 | 2) + varint(6) + b"\x12\x04node"
    body = snappy(metadata + write_request(node_series()) + metadata)
    assert 204 == (await write(ingest, body, agent)).status_code
    assert 1 == len(await stored(ingest))


async def test_several_instances_are_refused(ingest: Ingest, agent: Enrolled) -> None:
    answer = await write(ingest, encoded(node_series() + node_series(instance="web-2:9100")), agent)
    assert (400, "several_machines") == refused(answer)
    assert "'web-1:9100', 'web-2:9100'" in answer.json()["detail"]
    assert [] == await stored(ingest)


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        'application/x-protobuf; proto="io.prometheus.write.v2.Request"',
        "application/json",
        "",
    ],
)
async def test_other_versions_and_types_are_refused(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    answer = await write(ingest, encoded(node_series()), agent, Content_Type=kind)
    assert (415, "unsupported_media_type") == refused(answer)


@pytest.mark.parametrize("kind", ["application/x-protobuf;proto=prometheus.WriteRequest", "Application/X-Protobuf"])
async def test_version_1_by_each_of_its_names(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    assert 204 == (await write(ingest, encoded(node_series()), agent, Content_Type=kind)).status_code


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "identity", "snappy, snappy"])
async def test_other_encodings_are_refused(ingest: Ingest, agent: Enrolled, encoding: str) -> None:
    answer = await write(ingest, write_request(node_series()), agent, Content_Encoding=encoding)
    assert (415, "unsupported_encoding") == refused(answer)
    assert "snappy" == answer.headers["accept-encoding"]


async def test_what_is_no_block_of_snappy_or_no_request(ingest: Ingest, agent: Enrolled) -> None:
    good = encoded(node_series())
    framed = b"\xff\x06\x00\x00sNaPpY" + good
    bad = [b"", b"x", good[:-1], good + b"x", framed, snappy(b"\xff" * 50), snappy(write_request(node_series())[:-1])]
    for body in bad:
        assert (400, "bad_request") == refused(await write(ingest, body, agent))
    assert [] == await stored(ingest)


async def test_blocks_that_hold_or_announce_too_much(ingest: Ingest, agent: Enrolled) -> None:
    bombs = [snappy(bytes(MAX_DECODED_BYTES + 1)), varint(2**32 - 1) + b"\x00x", varint(MAX_DECODED_BYTES + 1)]
    for bomb in bombs:
        assert (413, "too_large") == refused(await write(ingest, bomb, agent))
    lie = varint(MAX_DECODED_BYTES) + encoded(node_series())
    assert (400, "bad_request") == refused(await write(ingest, lie, agent))


async def test_a_million_things_in_a_small_body_are_too_many(ingest: Ingest, agent: Enrolled) -> None:
    bodies = [b"\x0a\x00" * 900_000, b"\x0a" + varint(1_800_000) + b"\x0a\x00" * 900_000]
    for body in bodies:
        assert (413, "too_many_points") == refused(await write(ingest, snappy(body), agent))


async def test_no_credential(ingest: Ingest) -> None:
    answer = await write(ingest, b"x", None)
    assert (401, "unauthenticated") == refused(answer)
    assert "Bearer" == answer.headers["www-authenticate"]


async def test_agent_that_sends_too_much_waits(redis_url: str, database_url: str) -> None:
    async with running_ingest(redis_url, database_url, samples_per_s=10, samples_at_once=20) as ingest:
        await open_log(ingest.redis)
        agent, other = await ingest.enrol(), await ingest.enrol()
        answers = [await write(ingest, encoded(node_series([AT_MS + n])), agent) for n in range(20)]
        assert (429, "too_many_requests") == refused(answers[-1])
        assert answers[-1].headers["retry-after"]
        assert 204 == (await write(ingest, encoded(node_series()), other)).status_code


async def test_sealed_log_is_to_be_tried_again(sealed_ingest: Ingest) -> None:
    agent = await sealed_ingest.enrol()
    answer = await write(sealed_ingest, encoded(node_series()), agent)
    assert ((503, "log_sealed"), "1") == (refused(answer), answer.headers["retry-after"])


async def test_clock_far_ahead_gets_the_time_of_the_server(ingest: Ingest, agent: Enrolled) -> None:
    await write(ingest, encoded(node_series([AT_MS + 3_600_000])), agent)
    assert "2026-01-02T03:04:05Z" == (await ingest.record("metrics", agent.server_id))["ts"]
