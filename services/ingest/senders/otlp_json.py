"""OTLP's metrics as JSON: the structs have the names and the manners of the protobuf messages, so that one reads both.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in lowerCamelCase, integers of 64 bits as
strings, enumerations as numbers; what is not known is passed over. Identifiers of traces, in hexadecimal there, are
among that.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.validation import form

_Integer = int | Annotated[str, form(r"^-?[0-9]+$(?!\n)", "an integer in decimal digits", max_length=20)]
_Double = float | Annotated[str, Meta(max_length=40)]


class _Message(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One message; a field that is null is as if it were not there."""

    def HasField(self, name: str) -> bool:  # noqa: N802  (as protobuf calls it)
        """Whether a field is given."""
        return getattr(self, name) is not None


class AnyValue(_Message, frozen=True):
    """The value of an attribute; lists and the like are passed over."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Integer | None = None
    double_value: _Double | None = None


class KeyValue(_Message, frozen=True):
    """An attribute."""

    key: str = ""
    value: AnyValue | None = None


class DataPoint(_Message, frozen=True):
    """One value at one time, in nanoseconds since 1970."""

    attributes: list[KeyValue] | None = None
    start_time_unix_nano: _Integer | None = None
    time_unix_nano: _Integer | None = None
    as_double: _Double | None = None
    as_int: _Integer | None = None
    flags: int | None = None


class Data(_Message, frozen=True):
    """The data points of a metric, of whatever kind."""

    data_points: list[DataPoint] | None = None
    aggregation_temporality: int | Annotated[str, Meta(max_length=40)] | None = None


class Uncounted(_Message, frozen=True):
    """Data points of kinds that are not taken; only their number matters."""

    data_points: list[msgspec.Raw] | None = None


class Metric(_Message, frozen=True):
    """A metric with its data points."""

    name: str = ""
    gauge: Data | None = None
    sum: Data | None = None
    histogram: Uncounted | None = None
    exponential_histogram: Uncounted | None = None
    summary: Uncounted | None = None


class ScopeMetrics(_Message, frozen=True):
    """The metrics of one library."""

    metrics: list[Metric] | None = None


class Resource(_Message, frozen=True):
    """What was measured."""

    attributes: list[KeyValue] | None = None


class ResourceMetrics(_Message, frozen=True):
    """The metrics of one resource."""

    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None


class ExportRequest(_Message, frozen=True):
    """ExportMetricsServiceRequest."""

    resource_metrics: list[ResourceMetrics] | None = None


class PartialSuccess(msgspec.Struct, rename="camel"):
    """How many data points were dropped, a text as all integers of 64 bits, and which."""

    rejected_data_points: str
    error_message: str


class ExportTaken(msgspec.Struct, rename="camel", omit_defaults=True):
    """ExportMetricsServiceResponse."""

    partial_success: PartialSuccess | None = None


class RpcStatus(msgspec.Struct):
    """google.rpc.Status, without details."""

    code: int
    message: str


decode: Any = msgspec.json.Decoder(ExportRequest).decode
encode = msgspec.json.Encoder().encode
