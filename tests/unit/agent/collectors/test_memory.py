"""Memory."""

from __future__ import annotations

from muster_agent.collectors.memory import memory


def test_sizes_are_whole_bytes_within_their_totals() -> None:
    fields = memory()
    sizes = {name: value for name, value in fields.items() if isinstance(value, int)}
    assert fields == sizes
    assert 0 < sizes["mem_used"] < sizes["mem_total"]
    assert 0 <= sizes["swap_used"] <= sizes["swap_total"]
