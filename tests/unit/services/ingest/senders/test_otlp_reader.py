"""OTLP's host metrics as samples, read from protobuf and from JSON alike."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.ingest.senders import otlp_json
from services.ingest.senders.otlp_reader import MAX_NAMED, OtlpReader
from services.ingest.senders.readings import MAX_LOOKED_AT, TooMuch, scrapes
from services.ingest.senders.sampling import measured
from tests.support.otlp import AT_S, CPU_STATES, HOST_SAMPLE, OtlpRequest, host_metrics

Read = Callable[[OtlpRequest], Any]
BOTH: dict[str, Read] = {
    "protobuf": lambda request: request.message,
    "json": lambda request: otlp_json.decode(request.json),
}


@pytest.fixture(params=BOTH)
def message(request: pytest.FixtureRequest) -> Read:
    """Give what makes a message of a request, in either encoding."""
    return BOTH[request.param]


def sampled(message: object) -> tuple[list[dict[str, Any]], OtlpReader]:
    """Return what the samples of a request hold, and their reader."""
    reader = OtlpReader()
    samples = measured(scrapes(reader.read(message)))
    return [msgspec.json.decode(msgspec.json.encode(sample)) for sample in samples if sample is not None], reader


def test_a_scrape_of_host_metrics_is_one_sample(message: Read) -> None:
    samples, reader = sampled(message(host_metrics()))
    assert [HOST_SAMPLE | {"ts": "2026-01-02T03:04:05.050000Z"}] == samples
    assert (1, ["system.network.packets"]) == (reader.dropped, [*reader.dropped_names])
    assert {"web-1"} == reader.machines


def test_newer_names_of_attributes_mean_the_same(message: Read) -> None:
    request = OtlpRequest()
    request.gauge(
        "system.cpu.utilization",
        [({"cpu.logical_number": "0", "cpu.mode": mode}, share) for mode, share in (("idle", 0.7), ("iowait", 0.1))],
    )
    request.sum("system.network.io", [({"network.interface.name": "eth0", "network.io.direction": "receive"}, 5)])
    request.sum("system.disk.io", [({"system.device": "sda", "disk.io.direction": "read"}, 20)], delta_s=2)
    samples, _ = sampled(message(request))
    assert [(20.0, 5, 10.0)] == [(one["cpu_percent"], one["net_rx_total"], one["disk_read_rate"]) for one in samples]


@pytest.mark.parametrize("cores", [(0, 1), (0.5, 1.5), (False, True), ("0", "1")])
def test_attributes_are_told_apart_whatever_their_type(message: Read, cores: tuple[Any, Any]) -> None:
    request = OtlpRequest()
    busy = [
        ({"cpu.logical_number": core, "cpu.mode": "user"}, share) for core, share in zip(cores, (0.9, 0.5), strict=True)
    ]
    request.gauge("system.cpu.utilization", busy)
    assert [70.0] == [one["cpu_percent"] for one in sampled(message(request))[0]]


def test_number_of_a_core_is_the_same_as_a_number_and_as_a_text_of_json() -> None:
    def point(core: str, at_ns: int, busy_s: float) -> str:
        attributes = f'[{{"key":"cpu.logical_number","value":{{"intValue":{core}}}}}]'
        return f'{{"attributes":{attributes},"timeUnixNano":"{at_ns}","startTimeUnixNano":"1","asDouble":{busy_s}}}'

    points = ",".join([point('"0"', 10**18, 1.0), point('"1"', 10**18, 5.0), point("0", 10**18 + 10**10, 2.0)])
    metrics = f'[{{"name":"system.cpu.time","sum":{{"aggregationTemporality":2,"dataPoints":[{points}]}}}}]'
    body = f'{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":{metrics}}}]}}]}}'
    readings = [*OtlpReader().read(otlp_json.decode(body.encode()))]
    assert readings[0].series == readings[2].series != readings[1].series


def test_total_memory_is_what_the_limit_says(message: Read) -> None:
    request = OtlpRequest()
    request.sum("system.memory.usage", [({"state": "used"}, 5), ({"state": "free"}, 1)])
    request.sum("system.memory.limit", [({}, 9)])
    assert [(5, 9)] == [(one["mem_used"], one["mem_total"]) for one in sampled(message(request))[0]]


def test_counters_of_two_scrapes_give_rates_to_the_second(message: Read) -> None:
    request = OtlpRequest()
    for at_s, busy_s, idle_s, size in ((AT_S, 10.0, 50.0, 1000), (AT_S + 10, 13.0, 57.0, 3000)):
        times = dict.fromkeys(CPU_STATES, 0.0) | {"user": busy_s, "idle": idle_s}
        request.sum("system.cpu.time", [({"cpu": "cpu0", "state": s}, v) for s, v in times.items()], at_s)
        request.sum("system.network.io", [({"device": "eth0", "direction": "receive"}, size)], at_s)
        request.sum(
            "system.disk.io",
            [({"device": disk, "direction": "write"}, size) for disk in ("sda", "sda1", "dm-0", "nvme0n1")],
            at_s + 0.01,
        )
    samples, _ = sampled(message(request))
    assert [{"net_rx_total": 1000}, {"cpu_percent": 30.0, "net_rx_total": 3000}] == [
        {name: value for name, value in one.items() if name in {"cpu_percent", "net_rx_total"}} for one in samples
    ]
    assert [] == [name for name in samples[0] if name.endswith("_rate")]
    assert (200.0, 400.0) == (samples[1]["net_rx_rate"], samples[1]["disk_write_rate"])


def test_what_was_added_gives_rates_at_once_and_no_totals(message: Read) -> None:
    request = OtlpRequest()
    request.sum("system.cpu.time", [({"state": "user"}, 3.0), ({"state": "idle"}, 9.0)], delta_s=6)
    request.sum("system.network.io", [({"device": "eth0", "direction": "transmit"}, 60)], delta_s=6)
    expected = {"ts": "2026-01-02T03:04:05Z", "cpu_percent": 25.0, "net_tx_rate": 10.0}
    assert [expected] == sampled(message(request))[0]


def test_counter_that_began_anew_gives_no_rate(message: Read) -> None:
    request = OtlpRequest()
    for at_s, size in ((AT_S, 1000), (AT_S + 10, 100)):
        request.sum("system.network.io", [({"device": "eth0", "direction": "receive"}, size)], at_s)
    assert [{"ts", "net_rx_total"}] * 2 == [set(one) for one in sampled(message(request))[0]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 1e300])
def test_values_that_no_sample_may_have_are_left_out(message: Read, value: float) -> None:
    request = OtlpRequest()
    request.gauge("system.uptime", [({}, value)])
    request.gauge("system.cpu.load_average.1m", [({}, 1.0)])
    assert [{"ts", "load1"}] == [set(one) for one in sampled(message(request))[0]]


def test_points_without_a_time_or_a_value_are_dropped(message: Read) -> None:
    request = OtlpRequest()
    request.gauge("system.uptime", [({}, 5.0)], at_s=0)
    request.message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points.add(time_unix_nano=5)
    flagged = request.message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points.add(flags=1, as_int=5)
    flagged.time_unix_nano = 5
    samples, reader = sampled(message(request))
    assert ([], 3) == (samples, reader.dropped)


def test_kinds_that_are_no_single_values_are_dropped(message: Read) -> None:
    request = OtlpRequest()
    metrics = request.message.resource_metrics[0].scope_metrics[0].metrics
    for kind in ("histogram", "exponential_histogram", "summary"):
        getattr(metrics.add(name="system.uptime"), kind).data_points.add(time_unix_nano=5)
    metrics.add(name="empty")
    samples, reader = sampled(message(request))
    assert ([], 3, ["system.uptime"]) == (samples, reader.dropped, [*reader.dropped_names])


def test_what_was_added_to_no_counter_is_dropped(message: Read) -> None:
    request = OtlpRequest()
    request.sum("system.memory.usage", [({"state": "used"}, 5)], delta_s=5)
    assert ([], 1) == (sampled(message(request))[0], sampled(message(request))[1].dropped)


def test_few_names_are_told_of_many_that_were_dropped(message: Read) -> None:
    request = OtlpRequest()
    for number in range(1000):
        request.gauge(f"{number}" + "x" * 5000, [({}, 1.0)])
    _, reader = sampled(message(request))
    assert (1000, MAX_NAMED) == (reader.dropped, len(reader.dropped_names))
    assert max(map(len, reader.dropped_names)) <= 100


def test_machines_are_told_by_their_resources(message: Read) -> None:
    request = OtlpRequest(host_id="1", host_name="a")
    for attributes in ({"host_name": "b"}, {}, {"host_name": ""}, {"host_name": "not measured"}):
        request.add_resource(**attributes)
        if attributes.get("host_name") != "not measured":
            request.gauge("system.uptime", [({}, 1.0)])
    assert {"b"} == sampled(message(request))[1].machines


@pytest.mark.parametrize("where", ["resources", "scopes", "metrics", "points", "attributes"])
def test_more_than_is_looked_at_is_too_much(message: Read, where: str) -> None:
    request = OtlpRequest()
    request.gauge("system.uptime", [({}, 1.0)])
    scope = request.message.resource_metrics[0].scope_metrics[0]
    into: dict[str, Any] = {
        "resources": request.message.resource_metrics,
        "scopes": request.message.resource_metrics[0].scope_metrics,
        "metrics": scope.metrics,
        "points": scope.metrics[0].gauge.data_points,
        "attributes": scope.metrics[0].gauge.data_points[0].attributes,
    }
    for _ in range(MAX_LOOKED_AT):
        into[where].add()
    with pytest.raises(TooMuch):
        sampled(message(request))


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceMetrics":null,"unknown":{"x":[1]}}',
        b'{"resourceMetrics":[{"resource":null,"scopeMetrics":[{"metrics":[{"name":"x","gauge":null}]}]}]}',
        b"{}",
    ],
)
def test_json_with_nothing_in_it_is_nothing(body: bytes) -> None:
    samples, reader = sampled(otlp_json.decode(body))
    assert ([], 0) == (samples, reader.dropped)


@pytest.mark.parametrize("time", [b'"1767323045000000000"', b"1767323045000000000"])
@pytest.mark.parametrize("value", [b'"asInt":"7"', b'"asInt":7', b'"asDouble":7', b'"asDouble":"7.0"'])
def test_json_has_integers_as_numbers_or_as_texts(time: bytes, value: bytes) -> None:
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"system.uptime","gauge":{"dataPoints":[{'
    samples, _ = sampled(otlp_json.decode(body + b'"timeUnixNano":' + time + b"," + value + b"}]}}]}]}]}"))
    assert [{"ts": "2026-01-02T03:04:05Z", "uptime_s": 7.0}] == samples


@pytest.mark.parametrize(
    ("point", "samples"),
    [
        (b'"timeUnixNano":"1","asInt":' + b"9" * 400, 0),
        (b'"timeUnixNano":"1","asDouble":"many"', 0),
        (b'"timeUnixNano":"1","asDouble":"1e999"', 0),
        (b'"timeUnixNano":' + b"9" * 400 + b',"asInt":1', 0),
        (b'"timeUnixNano":-1,"asInt":1', 0),
        (b'"timeUnixNano":"18446744073709551615","startTimeUnixNano":' + b"9" * 400 + b',"asInt":1', 1),
    ],
)
def test_json_has_numbers_of_any_size(point: bytes, samples: int) -> None:
    body = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"system.uptime","gauge":{"dataPoints":[{'
    assert samples == len(sampled(otlp_json.decode(body + point + b"}]}}]}]}]}"))[0])
