"""What the broadcaster counts, for Prometheus."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.io.telemetry import REGISTRY, Counter, Gauge

CONNECTIONS = Gauge("muster_broadcaster_connections", "Open connections: WebSockets and event streams")
SUBSCRIPTIONS = Gauge("muster_broadcaster_subscriptions", "Subscriptions of all connections")
TOPICS = Gauge("muster_broadcaster_topics", "Topics whose state is held here")
CATCH_UPS = Counter("muster_broadcaster_catch_ups", "Times that a client was brought up to date from its own version")
RESUMES = Counter("muster_broadcaster_resumes", "Answers to clients that came back", ["recovered"])
SPAN_ENCODES = Counter("muster_broadcaster_span_encodes", "Spans of changes encoded; all who miss the same share them")
SNAPSHOT_ENCODES = Counter("muster_broadcaster_snapshot_encodes", "Snapshots encoded; the answers share them")
TOPIC_LOADS = Counter("muster_broadcaster_topic_loads", "Topics read from the log", ["outcome"])
CLOSES = Counter(
    "muster_broadcaster_closes", "Ended connections; `peer` when the client or the network ended it", ["code"]
)
TAIL_LAG = Gauge("muster_broadcaster_tail_lag_seconds", "Age of the newest entry of the log when it was taken in")


class _Sized(Protocol):
    size_bytes: int


class Traffic(Collector):
    """What was handed to connections, counted without a lock: for one thread."""

    def __init__(self) -> None:
        self._frames = 0
        self._bytes = 0

    def note(self, frames: Iterable[_Sized], receivers: int = 1) -> None:
        """Count frames that so many connections got."""
        for frame in frames:
            self._frames += receivers
            self._bytes += receivers * frame.size_bytes

    def collect(self) -> Iterable[Metric]:
        """Give the numbers to Prometheus."""
        handed = "Frames handed to connections"
        yield CounterMetricFamily("muster_broadcaster_frames_sent", handed, value=self._frames)
        size = "Bytes of the frames handed to connections, before compression"
        yield CounterMetricFamily("muster_broadcaster_frame_bytes_sent", size, value=self._bytes)


TRAFFIC = Traffic()
REGISTRY.register(TRAFFIC)
