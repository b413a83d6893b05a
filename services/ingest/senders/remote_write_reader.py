"""Reads a remote-write request of Prometheus: which of its series mean something to us. Pure.

https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from collections.abc import Iterator
from math import isnan
from typing import Any

from services.ingest.senders.node_exporter import MEANINGS, Meaning
from services.ingest.senders.readings import Allowance, Reading

_MS_NS = 1_000_000
_END_MS = 253_402_300_800_000
"""The calendar's end."""


class RemoteWriteReader:
    """Reads one request; `machines` is known when it has."""

    def __init__(self) -> None:
        self.machines: set[str] = set()
        """The instances that what was read is of, as far as it says so."""
        self._allowance = Allowance()

    def read(self, request: Any) -> Iterator[Reading]:  # noqa: ANN401  (a message made at run time)
        """Yield what is known; raises TooMuch. Values that say that a series is over are passed by."""
        self._allowance.spend(len(request.timeseries))
        for series in request.timeseries:
            self._allowance.spend(len(series.labels))
            labels = {label.name: label.value for label in series.labels}
            meaning = MEANINGS.get(labels.get("__name__", ""))
            if meaning is None:
                continue
            self._allowance.spend(len(series.samples))
            if labels.get("instance"):
                self.machines.add(labels["instance"])
            yield from _readings(labels, meaning, series.samples)


def _readings(labels: dict[str, str], meaning: Meaning, samples: Any) -> Iterator[Reading]:  # noqa: ANN401  (likewise)
    kind = meaning.kind_of(labels)
    if kind is None:
        return
    name = repr(sorted(labels.items()))
    for sample in samples:
        if isnan(sample.value) or not 0 < sample.timestamp < _END_MS:
            continue
        yield Reading(
            quantity=meaning.quantity,
            part=labels.get(meaning.part, "") if meaning.part else "",
            kind=kind,
            series=name,
            value=sample.value,
            at_ns=sample.timestamp * _MS_NS,
        )
