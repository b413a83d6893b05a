"""Requests of OTLP as a Collector's host-metrics receiver sends them, by the messages of OpenTelemetry's package."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, ScopeMetrics

AT_S = 1_767_323_045
"""2026-01-02T03:04:05Z, when the clock of tests stands still."""

SINCE_S = AT_S - 10_000
MS_NS = 1_000_000

Point = tuple[Mapping[str, str | int | float | bool], float | int]
_VALUE_OF = {str: "string_value", int: "int_value", float: "double_value", bool: "bool_value"}
CPU_STATES = ("user", "system", "idle", "nice", "softirq", "steal", "wait", "interrupt")


class OtlpRequest:
    """One request of one resource, to be filled with metrics."""

    def __init__(self, **resource: str) -> None:
        self.message = ExportMetricsServiceRequest()
        self._scope = self.add_resource(**resource)

    def add_resource(self, **attributes: str) -> ScopeMetrics:
        """Begin a resource, with the names of its attributes in Python's spelling; what is added goes into it."""
        resource = self.message.resource_metrics.add()
        for name, value in attributes.items():
            resource.resource.attributes.add(key=name.replace("_", ".")).value.string_value = value
        self._scope = resource.scope_metrics.add()
        return self._scope

    def gauge(self, name: str, points: Iterable[Point], at_s: float = AT_S) -> None:
        """Add data points of a gauge."""
        metric = next((each for each in self._scope.metrics if each.name == name), None)
        self._fill((metric or self._scope.metrics.add(name=name)).gauge.data_points, points, at_s, 0)

    def sum(self, name: str, points: Iterable[Point], at_s: float = AT_S, *, delta_s: float | None = None) -> None:
        """Add data points of a sum: cumulative, or what was added within the `delta_s` seconds before."""
        metric = next((each for each in self._scope.metrics if each.name == name), None)
        data = (metric or self._scope.metrics.add(name=name)).sum
        cumulative, delta = (
            AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
            AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA,
        )
        data.aggregation_temporality = cumulative if delta_s is None else delta
        self._fill(data.data_points, points, at_s, SINCE_S if delta_s is None else at_s - delta_s)

    def _fill(self, data_points: Any, points: Iterable[Point], at_s: float, since_s: float) -> None:  # noqa: ANN401  (a container of protobuf)
        for attributes, value in points:
            point = data_points.add(
                time_unix_nano=round(at_s * 1000) * MS_NS, start_time_unix_nano=round(since_s * 1000) * MS_NS
            )
            if isinstance(value, int):
                point.as_int = value
            else:
                point.as_double = value
            for key, given in attributes.items():
                setattr(point.attributes.add(key=key).value, _VALUE_OF[type(given)], given)

    @property
    def protobuf(self) -> bytes:
        """The request as protobuf."""
        return self.message.SerializeToString()

    @property
    def json(self) -> bytes:
        """The request as JSON, as OTLP has it."""
        return MessageToJson(self.message, use_integers_for_enums=True, indent=None).encode()


def host_metrics(at_s: float = AT_S) -> OtlpRequest:
    """Return one scrape of all that is mapped, and something that is not."""
    request = OtlpRequest(host_name="web-1", os_type="linux")
    for minutes, load in ((1, 0.5), (5, 0.75), (15, 1.25)):
        request.gauge(f"system.cpu.load_average.{minutes}m", [({}, load)], at_s)
    request.gauge(
        "system.cpu.utilization",
        [
            ({"cpu": f"cpu{core}", "state": state}, share)
            for core, busy in ((0, 0.5), (1, 0.25))
            for state, share in zip(CPU_STATES, (busy, 0.0, 0.9 - busy, 0.0, 0.0, 0.0, 0.1, 0.0), strict=True)
        ],
        at_s + 0.002,
    )
    memory = {
        "used": 600,
        "free": 100,
        "buffered": 50,
        "cached": 250,
        "slab_reclaimable": 40,
        "slab_unreclaimable": 30,
    }
    request.sum("system.memory.usage", [({"state": state}, size) for state, size in memory.items()], at_s + 0.005)
    request.sum(
        "system.paging.usage",
        [({"device": device, "state": state}, 10) for device in ("/dev/a", "/dev/b") for state in ("used", "free")],
        at_s + 0.006,
    )
    mounts = [
        ("/dev/vda1", "/", "ext4"),
        ("/dev/vda1", "/srv", "ext4"),
        ("/dev/vdb", "/data", "xfs"),
        ("tmpfs", "/tmp", "tmpfs"),  # noqa: S108  (a name)
    ]
    request.sum(
        "system.filesystem.usage",
        [
            ({"device": device, "mountpoint": mountpoint, "type": kind, "mode": "rw", "state": state}, size)
            for device, mountpoint, kind in mounts
            for state, size in (("used", 70), ("free", 20), ("reserved", 10))
        ],
        at_s + 0.01,
    )
    request.sum(
        "system.network.io",
        [
            ({"device": device, "direction": direction}, size)
            for device in ("eth0", "eth1", "lo", "docker0")
            for direction, size in (("receive", 1000), ("transmit", 500))
        ],
        at_s + 0.02,
    )
    states = {"ESTABLISHED": 7, "CLOSE_WAIT": 2, "LISTEN": 20, "TIME_WAIT": 30}
    request.sum(
        "system.network.connections", [({"protocol": "tcp", "state": state}, n) for state, n in states.items()], at_s
    )
    request.sum("system.processes.count", [({"status": "running"}, 3), ({"status": "sleeping"}, 97)], at_s + 0.05)
    request.gauge("system.uptime", [({}, 12345.5)], at_s)
    request.sum("system.network.packets", [({"device": "eth0", "direction": "receive"}, 5)], at_s)
    return request


HOST_SAMPLE: dict[str, object] = {
    "cpu_percent": 37.5,
    "load1": 0.5,
    "load5": 0.75,
    "load15": 1.25,
    "mem_used": 600,
    "mem_total": 1000,
    "swap_used": 20,
    "swap_total": 40,
    "disk_used": 160,
    "disk_total": 200,
    "net_rx_total": 2000,
    "net_tx_total": 1000,
    "tcp_connections": 9,
    "processes": 100,
    "uptime_s": 12345.5,
}
"""What the sample of such a scrape has, beside its time and its identity."""
