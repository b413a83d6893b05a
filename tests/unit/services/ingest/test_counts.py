"""The numbers that are counted without a lock, as Prometheus gets them."""

from prometheus_client import CollectorRegistry, generate_latest

from services.ingest.counts import Tally


def test_tally_counts_samples_and_spreads_waits_over_buckets() -> None:
    tally, registry = Tally(), CollectorRegistry()
    registry.register(tally)
    tally.note(3, 0.001)
    tally.note(1, 0.004)
    tally.note(1, 60)
    lines = generate_latest(registry).decode().splitlines()
    assert "muster_ingest_samples_accepted_total 5.0" in lines
    assert 'muster_ingest_append_seconds_bucket{le="0.001"} 1.0' in lines
    assert 'muster_ingest_append_seconds_bucket{le="0.005"} 2.0' in lines
    assert 'muster_ingest_append_seconds_bucket{le="5.0"} 2.0' in lines
    assert 'muster_ingest_append_seconds_bucket{le="+Inf"} 3.0' in lines
    assert "muster_ingest_append_seconds_count 3.0" in lines
