"""What ingest tells Prometheus. What is counted for every request is a plain number, which costs no lock."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.io.telemetry import REGISTRY, Counter, Gauge

REFUSED = Counter("muster_ingest_requests_refused", "Requests with samples that were refused, by status", ["status"])
REJECTED = Counter("muster_ingest_samples_rejected", "Samples that were refused", ["code"])
DUPLICATES = Counter("muster_ingest_samples_duplicate", "Accepted samples that were in the log already")
SKEWED = Counter("muster_ingest_samples_skewed", "Samples from the future, which got the server's time")
UNKNOWN_FIELDS = Counter("muster_ingest_samples_with_unknown_fields", "Samples with fields that were dropped")
REVIVED = Counter("muster_ingest_servers_revived", "Servers that were heard again without a handshake")
STREAMS = Gauge("muster_ingest_streams", "Streams of agents that stand")
STREAMS_REFUSED = Counter("muster_ingest_streams_refused", "Upgrades that were refused, by status", ["status"])
STREAMS_CLOSED = Counter(
    "muster_ingest_streams_closed", "Streams that ended, by close code; `agent` closed it", ["code"]
)

_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Tally(Collector):
    """Accepted samples, and how long each request with some waited for the log; for one thread."""

    def __init__(self) -> None:
        self._samples = 0
        self._waited_s = 0.0
        self._requests_within = [0] * (len(_BOUNDS_S) + 1)

    def note(self, samples: int, waited_s: float) -> None:
        """Count a request whose samples are in the log."""
        self._samples += samples
        self._waited_s += waited_s
        self._requests_within[bisect_left(_BOUNDS_S, waited_s)] += 1

    def collect(self) -> Iterable[Metric]:
        """Give the numbers to Prometheus."""
        accepted = "Samples that are in the log, repeated ones among them"
        yield CounterMetricFamily("muster_ingest_samples_accepted", accepted, value=self._samples)
        bounds = [*map(str, _BOUNDS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._requests_within), strict=True))
        waited = "Time until a request's samples were in the log"
        yield HistogramMetricFamily("muster_ingest_append_seconds", waited, buckets=buckets, sum_value=self._waited_s)


TALLY = Tally()
REGISTRY.register(TALLY)
