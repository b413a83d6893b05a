"""Reads a request of OTLP: which of its data points mean something to us, and what was dropped. Pure."""

from collections.abc import Iterable, Iterator
from math import isnan, nan
from typing import Any

from services.ingest.senders.hostmetrics import MEANINGS, NEWER_NAMES, Meaning
from services.ingest.senders.readings import Allowance, Reading

MAX_NAMED = 10
"""How many names of dropped metrics are told."""

_LONGEST_NAME = 100
_HOST = ("host.id", "host.name")
_DELTA = frozenset({1, "AGGREGATION_TEMPORALITY_DELTA"})
_NO_RECORDED_VALUE = 1
_LATEST = 2**64 - 1
_CUMULABLE = frozenset({"cpu_time", "disk_io", "network_io"})
_ALL_KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


class OtlpReader:
    """Reads one request, a protobuf message or its like in JSON; `dropped` and `machines` are known when it has."""

    def __init__(self) -> None:
        self.dropped = 0
        """How many data points are kept nowhere."""
        self.dropped_names: dict[str, None] = {}
        self.machines: set[str] = set()
        """What the resources of those that are kept call their machines, as far as they do."""
        self._allowance = Allowance()

    def read(self, request: Any) -> Iterator[Reading]:  # noqa: ANN401  (one of two kinds, alike in all that is used)
        """Yield what is known; raises TooMuch."""
        for resource in self._all(request.resource_metrics):
            machine = ""
            if resource.HasField("resource"):
                attributes = self._attributes(resource.resource.attributes)
                machine = next((attributes[name] for name in _HOST if attributes.get(name)), "")
            for scope in self._all(resource.scope_metrics):
                for metric in self._all(scope.metrics):
                    for reading in self._read_metric(metric):
                        if machine:
                            self.machines.add(machine)
                        yield reading

    def _all(self, things: Any) -> Any:  # noqa: ANN401  (a list of either kind, or none)
        self._allowance.spend(len(things or ()))
        return things or ()

    def _attributes(self, attributes: Any) -> dict[str, str]:  # noqa: ANN401  (likewise)
        return {
            NEWER_NAMES.get(each.key, each.key): each.value.string_value or _text(each.value)
            if each.HasField("value")
            else ""
            for each in self._all(attributes)
        }

    def _read_metric(self, metric: Any) -> Iterator[Reading]:  # noqa: ANN401  (likewise)
        meaning = MEANINGS.get(metric.name)
        for kind in _ALL_KINDS:
            if not metric.HasField(kind):
                continue
            data = getattr(metric, kind)
            if meaning is None or kind not in {"gauge", "sum"}:
                self._drop(metric.name, len(data.data_points or ()))
                continue
            is_delta = kind == "sum" and data.aggregation_temporality in _DELTA
            if is_delta and meaning.quantity not in _CUMULABLE:
                self._drop(metric.name, len(data.data_points or ()))
                continue
            yield from self._read_points(metric.name, meaning, self._all(data.data_points), is_delta=is_delta)

    def _read_points(self, name: str, meaning: Meaning, points: Iterable[Any], *, is_delta: bool) -> Iterator[Reading]:
        for point in points:
            attributes = self._attributes(point.attributes)
            kind, value, at_ns = meaning.kind_of(attributes), _value(point), _time(point.time_unix_nano)
            if kind is None:  # part of a metric that is known, but of nothing that counts
                continue
            if isnan(value) or not at_ns:
                self._drop(name, 1)
                continue
            yield Reading(
                quantity=meaning.quantity,
                part=attributes.get(meaning.part, "") if meaning.part else "",
                kind=kind,
                series=repr((name, sorted(attributes.items()))),
                value=value,
                at_ns=at_ns,
                since_ns=_time(point.start_time_unix_nano),
                is_delta=is_delta,
            )

    def _drop(self, name: str, points: int) -> None:
        self.dropped += points
        if points and len(self.dropped_names) < MAX_NAMED:
            self.dropped_names[name[:_LONGEST_NAME]] = None


def _text(value: Any) -> str:  # noqa: ANN401  (likewise)
    """Return the value of an attribute that is no text as one, empty for lists and the like."""
    if value.HasField("int_value"):
        return str(int(value.int_value))
    if value.HasField("bool_value"):
        return "true" if value.bool_value else "false"
    return str(value.double_value) if value.HasField("double_value") else ""


def _value(point: Any) -> float:  # noqa: ANN401  (likewise)
    """Return the value of a data point, one that is not a number where it has none."""
    if (point.flags or 0) & _NO_RECORDED_VALUE:
        return nan
    try:
        if point.HasField("as_int"):
            return float(int(point.as_int))
        if point.HasField("as_double"):
            return float(point.as_double)  # of JSON, "NaN" and "Infinity" are texts
    except (ValueError, OverflowError):
        pass
    return nan


def _time(nanoseconds: int | str | None) -> int:
    """Return a time, 0 for none and for what is none: numbers of JSON have any size."""
    found = int(nanoseconds or 0)
    return found if 0 <= found <= _LATEST else 0
