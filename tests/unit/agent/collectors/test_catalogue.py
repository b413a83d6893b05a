"""What is measured on the machine that runs the tests, on one that shows nothing, and on one that shows nonsense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_agent.collectors import catalogue
from muster_agent.collectors.base import CollectorGroup, Plan, Reading
from muster_agent.sampler import Sampler
from services.ingest.samples import read_batch
from shared.resources.metrics import MEASUREMENTS, Sample

MEASURED_EVERYWHERE = {
    *("cpu_percent", "cpu_cores", "load1", "load5", "load15", "mem_used", "mem_total", "swap_used", "swap_total"),
    *("disk_used", "disk_total", "processes", "uptime_s", "top_processes"),
}


def test_a_sample_has_what_every_machine_has_and_is_json() -> None:
    collectors = catalogue.sample_collectors()
    collectors.collect(0.0)
    collectors.wait_for_background()
    deadline = 10_000
    fields = collectors.collect(1.0)
    # Processor times grow in steps of some milliseconds: read again until there was one.
    while "cpu_percent" not in fields and deadline:
        deadline -= 1
        fields = collectors.collect(1.0)
    assert set() == MEASURED_EVERYWHERE - fields.keys()
    assert set() == fields.keys() - set(MEASUREMENTS)
    assert fields == json.loads(json.dumps(fields, allow_nan=False))
    assert {} == collectors.failures


def test_what_this_machine_sends_is_taken_as_it_is() -> None:
    collectors = catalogue.sample_collectors()
    sampler = Sampler(collectors, "boot-1")
    sampler.warm_up()
    sampler.settle()
    batch = read_batch(b"[%b]" % sampler.sample().encoded, "s_1", datetime.now(UTC))
    assert ([], 0, 1) == (batch.rejected, batch.with_unknown_fields, len(batch.drafts))


def test_a_handshake_has_what_every_machine_has() -> None:
    assert {"name", "kernel", "arch"} <= catalogue.os_collectors().collect(0.0).keys()
    expected = {"os", "kernel", "arch", "threads", "memory_bytes", "boot_time"}
    assert expected <= catalogue.inventory_collectors().collect(0.0).keys()


def test_reading_the_facts_twice_finds_the_same() -> None:
    assert catalogue.inventory_collectors().collect(0.0) == catalogue.inventory_collectors().collect(0.0)


def test_each_can_be_turned_off_alone() -> None:
    assert len(catalogue.NAMES) == len(set(catalogue.NAMES))
    for name in catalogue.NAMES:
        groups = catalogue.sample_collectors({name}), catalogue.inventory_collectors({name})
        assert set(catalogue.NAMES) - {name} == {each for group in groups for each in group.names}


def test_a_machine_that_shows_nothing_costs_fields_but_tells_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "missing"))
    groups = catalogue.sample_collectors(), catalogue.inventory_collectors(), catalogue.os_collectors()
    for group in groups:
        group.collect(0.0)
        group.wait_for_background()
        group.collect(1.0)
        assert {} == group.failures
    assert [] == caplog.messages


texts = st.text(max_size=300)


def entries(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Give what a collector could make of nonsense, in the form of this field."""
    of_type = {
        "string": texts,
        "boolean": st.booleans(),
        "integer": st.integers(),
        "number": st.floats(max_value=100) | st.sampled_from([float("nan"), float("-inf"), -5.0]),
    }
    if "anyOf" in schema:
        return st.one_of([entries(each) for each in schema["anyOf"]])
    if "$ref" in schema:
        return entries(COMPONENTS[schema["$ref"]])
    if schema.get("type") == "array":
        return st.lists(entries(schema["items"]), max_size=70)
    if "properties" in schema:
        return st.fixed_dictionaries({}, optional={name: entries(each) for name, each in schema["properties"].items()})
    if schema.get("type") == "object":
        return st.dictionaries(texts, entries(schema["additionalProperties"]), max_size=70)
    return of_type.get(schema.get("type", ""), st.none())


(_,), COMPONENTS = msgspec.json.schema_components([Sample], ref_template="{name}")
SAMPLES = st.fixed_dictionaries(
    {}, optional={name: entries(COMPONENTS["Sample"]["properties"][name]) for name in MEASUREMENTS}
)


@given(SAMPLES)
def test_whatever_a_machine_says_the_sample_is_taken(fields: dict[str, object]) -> None:
    group = CollectorGroup([Plan(lambda: Reading("odd", lambda: fields)), Reading("load", lambda: {"load1": 1.0})])
    encoded = Sampler(group, "boot-1").sample().encoded
    assert [] == read_batch(b"[%b]" % encoded, "s_1", datetime.now(UTC)).rejected
