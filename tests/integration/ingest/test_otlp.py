"""OTLP over HTTP: a Collector's host metrics become samples of the agent whose credential it has."""

import gzip
import sys
from typing import Any

import httpx
import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from services.ingest.senders.messages import Status
from services.ingest.senders.sender_intake import MAX_DECODED_BYTES
from shared.names import Topic
from tests.support.ingest import WORKSPACE, Enrolled, Ingest, running_ingest
from tests.support.log import open_log, recent
from tests.support.otlp import AT_S, HOST_SAMPLE, OtlpRequest, host_metrics

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METRICS = Topic(WORKSPACE, "metrics")
PATH = "/ingest/otlp/v1/metrics"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
ENCODERS: dict[str, Any] = {"gzip": gzip.compress, "zstd": zstd.compress}
both = pytest.mark.parametrize("kind", [PROTOBUF, JSON])


async def export(
    ingest: Ingest, body: bytes, agent: Enrolled | None, kind: str = PROTOBUF, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    proof = agent.headers if agent else {}
    return await ingest.http.post(PATH, content=body, headers={"Content-Type": kind, **proof, **named})


def body_of(request: OtlpRequest, kind: str) -> bytes:
    return request.json if kind == JSON else request.protobuf


def dropped(answer: httpx.Response) -> tuple[int, str]:
    """Return how many data points were dropped, and what is said of them, having checked the form."""
    assert 200 == answer.status_code, answer.content
    if answer.headers["content-type"] == JSON:
        partial = answer.json().get("partialSuccess", {"rejectedDataPoints": "0", "errorMessage": ""})
        return int(partial["rejectedDataPoints"]), partial["errorMessage"]
    said = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    return said.rejected_data_points, said.error_message


def refused(answer: httpx.Response) -> tuple[int, int, str]:
    """Return the status, the code of gRPC and the code of ours."""
    if answer.headers["content-type"] == PROTOBUF:
        status = Status.FromString(answer.content)
        return answer.status_code, status.code, status.message.partition(":")[0]
    status = answer.json()
    return answer.status_code, status["code"], status["message"].partition(":")[0]


async def stored(ingest: Ingest) -> list[dict[str, Any]]:
    entries = await recent(ingest.redis, METRICS, entries=1000)
    return [msgspec.json.decode(change.data) for entry in entries for change in entry.changes if change.data]


@both
async def test_host_metrics_become_the_latest_sample(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    answer = await export(ingest, body_of(host_metrics(), kind), agent, kind)
    assert (1, "not kept here: system.network.packets") == dropped(answer)
    record = await ingest.record("metrics", agent.server_id)
    assert (1, True) == (record.pop("seq"), bool(record.pop("boot_id")))
    assert HOST_SAMPLE | {"ts": "2026-01-02T03:04:05.050000Z"} == record
    assert f"{WORKSPACE}:{agent.server_id}" in await ingest.deadlines()


@both
async def test_full_success_says_nothing(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    request = OtlpRequest()
    request.gauge("system.uptime", [({}, 5.0)])
    answer = await export(ingest, body_of(request, kind), agent, kind)
    assert (0, "") == dropped(answer)
    assert (b"{}" if kind == JSON else b"") == answer.content


@both
@pytest.mark.parametrize("encoding", ENCODERS)
async def test_encoded_requests(ingest: Ingest, agent: Enrolled, kind: str, encoding: str) -> None:
    body = ENCODERS[encoding](body_of(host_metrics(), kind))
    assert 1 == dropped(await export(ingest, body, agent, kind, Content_Encoding=encoding))[0]
    assert 1 == len(await stored(ingest))


async def test_what_is_sent_again_is_stored_once(ingest: Ingest, agent: Enrolled) -> None:
    for at_s in (AT_S - 60, AT_S, AT_S - 60, AT_S):
        for kind in (PROTOBUF, JSON):
            assert 1 == dropped(await export(ingest, body_of(host_metrics(at_s), kind), agent, kind))[0]
    assert 2 == len(await stored(ingest))


async def test_what_comes_late_in_any_order_is_lost_nowhere(ingest: Ingest, agent: Enrolled) -> None:
    times = [AT_S - 30 * n for n in range(100)]
    for at_s in times:
        assert 1 == dropped(await export(ingest, host_metrics(at_s).protobuf, agent))[0]
    assert "2026-01-02T03:04:05.050000Z" == (await ingest.record("metrics", agent.server_id))["ts"]
    entries = await recent(ingest.redis, METRICS, entries=1000)
    late = [sample for entry in entries for sample in entry.late]
    assert 100 == len(late) + len(await stored(ingest))


async def test_several_scrapes_in_a_request_are_as_many_samples(ingest: Ingest, agent: Enrolled) -> None:
    request = OtlpRequest()
    for number in range(5):
        request.sum("system.network.io", [({"device": "eth0", "direction": "receive"}, number * 100)], AT_S + number)
    assert (0, "") == dropped(await export(ingest, request.protobuf, agent))
    assert [(1, None), (2, 100.0), (3, 100.0), (4, 100.0), (5, 100.0)] == [
        (sample["seq"], sample.get("net_rx_rate")) for sample in await stored(ingest)
    ]


@both
async def test_metrics_of_two_machines_are_refused(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    request = host_metrics()
    request.add_resource(host_name="web-2")
    request.gauge("system.uptime", [({}, 5.0)])
    answer = await export(ingest, body_of(request, kind), agent, kind)
    assert (400, 3, "several_machines") == refused(answer)
    assert [] == await stored(ingest)


@both
@pytest.mark.parametrize("body", [b"x", b"\xff" * 100, b"[]", b'{"resourceMetrics":5}', b'{"resourceMetrics":[', b""])
async def test_what_is_no_request(ingest: Ingest, agent: Enrolled, kind: str, body: bytes) -> None:
    answer = await export(ingest, body, agent, kind)
    if kind == PROTOBUF and not body:  # a message without fields
        assert (0, "") == dropped(answer)
        return
    status, code, _ = refused(answer)
    assert (True, 3) == (status in {400, 422}, code)
    assert kind == answer.headers["content-type"]


async def test_deep_nesting_is_refused(ingest: Ingest, agent: Enrolled) -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert (400, 3, "bad_request") == refused(await export(ingest, deep, agent, JSON))
    nested = OtlpRequest(host_name="a")
    value = nested.message.resource_metrics[0].resource.attributes[0].value
    for _ in range(90):
        value = value.array_value.values.add()
    assert (400, 3, "bad_request") == refused(await export(ingest, nested.protobuf, agent))


async def test_other_types_and_encodings_are_refused(ingest: Ingest, agent: Enrolled) -> None:
    assert (415, 3, "unsupported_media_type") == refused(await export(ingest, b"{}", agent, "text/plain"))
    answer = await export(ingest, b"{}", agent, JSON, Content_Encoding="snappy")
    assert (415, 3, "unsupported_encoding") == refused(answer)
    assert "gzip, zstd" == answer.headers["accept-encoding"]
    answer = await ingest.http.get(PATH, headers=agent.headers)
    assert (405, 12, "method_not_allowed") == refused(answer)


@both
async def test_no_credential_is_told_in_the_encoding_of_the_request(ingest: Ingest, kind: str) -> None:
    assert (401, 16, "unauthenticated") == refused(await export(ingest, b"x", None, kind))


@both
@pytest.mark.parametrize("encoding", ENCODERS)
async def test_bombs_are_too_large(ingest: Ingest, agent: Enrolled, kind: str, encoding: str) -> None:
    bomb = ENCODERS[encoding](b" " * 200_000_000)
    assert (413, 3, "too_large") == refused(await export(ingest, bomb, agent, kind, Content_Encoding=encoding))
    assert (400, 3, "bad_request") == refused(await export(ingest, b"x", agent, kind, Content_Encoding=encoding))
    assert (413, 3, "too_large") == refused(await export(ingest, b" " * 1_000_001, agent, kind))


@both
async def test_a_million_things_in_a_small_body_are_too_many(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    empty = b"\x0a\x00" * (MAX_DECODED_BYTES // 2 - 10)
    if kind == JSON:
        empty = b'{"resourceMetrics":[' + b"{}," * (MAX_DECODED_BYTES // 3 - 10) + b"{}]}"
    answer = await export(ingest, gzip.compress(empty), agent, kind, Content_Encoding="gzip")
    assert (413, 3, "too_many_points") == refused(answer)


@both
async def test_names_beyond_measure_are_dropped_and_told_in_short(ingest: Ingest, agent: Enrolled, kind: str) -> None:
    request = OtlpRequest()
    for number in range(5_000):
        request.gauge(f"name {number}", [({}, 1.0)])
    request.gauge("x" * 1_000_000, [({"y": "z" * 100_000}, 1.0)])
    body = gzip.compress(body_of(request, kind))
    points, said = dropped(await export(ingest, body, agent, kind, Content_Encoding="gzip"))
    assert 5_001 == points
    assert len(said) < 1000


async def test_agent_that_sends_too_much_waits(redis_url: str, database_url: str) -> None:
    async with running_ingest(redis_url, database_url, samples_per_s=10, samples_at_once=10) as ingest:
        await open_log(ingest.redis)
        agent, other = await ingest.enrol(), await ingest.enrol()
        answers = [await export(ingest, host_metrics(AT_S + n).protobuf, agent) for n in range(10)]
        assert (429, 8, "too_many_requests") == refused(answers[-1])
        assert "1" == answers[-1].headers["retry-after"]
        assert 200 == (await export(ingest, host_metrics().protobuf, other)).status_code


async def test_sealed_log_is_to_be_tried_again(sealed_ingest: Ingest) -> None:
    agent = await sealed_ingest.enrol()
    answer = await export(sealed_ingest, host_metrics().protobuf, agent)
    assert ((503, 14, "log_sealed"), "1") == (refused(answer), answer.headers["retry-after"])


async def test_nothing_that_counts_is_no_sign_of_life(ingest: Ingest, agent: Enrolled) -> None:
    request = OtlpRequest()
    request.gauge("other", [({}, 1.0)])
    before = await ingest.versions()
    assert 1 == dropped(await export(ingest, request.protobuf, agent))[0]
    assert before == await ingest.versions()
