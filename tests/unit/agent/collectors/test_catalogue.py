"""What is measured on the machine that runs the tests."""

from __future__ import annotations

import json

from muster_agent.collectors import catalogue

MEASURED_EVERYWHERE = {
    *("cpu_percent", "load1", "load5", "load15", "mem_used", "mem_total", "swap_used", "swap_total"),
    *("disk_used", "disk_total", "processes", "uptime_s"),
}


def test_a_sample_has_what_every_machine_has_and_is_json() -> None:
    collectors = catalogue.sample_collectors()
    collectors.collect(0.0)
    deadline = 10_000
    fields = collectors.collect(1.0)
    # Processor times grow in steps of some milliseconds: read again until there was one.
    while "cpu_percent" not in fields and deadline:
        deadline -= 1
        fields = collectors.collect(1.0)
    assert set() == MEASURED_EVERYWHERE - fields.keys()
    assert fields == json.loads(json.dumps(fields, allow_nan=False))
    assert {} == collectors.failures


def test_a_handshake_has_what_every_machine_has() -> None:
    assert {"name", "kernel", "arch"} <= catalogue.os_collectors().collect(0.0).keys()
    assert {"threads", "memory_bytes", "boot_time"} <= catalogue.inventory_collectors().collect(0.0).keys()


def test_reading_the_facts_twice_finds_the_same() -> None:
    assert catalogue.inventory_collectors().collect(0.0) == catalogue.inventory_collectors().collect(0.0)
