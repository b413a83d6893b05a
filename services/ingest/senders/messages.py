"""The protobuf messages that no package of their owners gives for Python, built when this is imported.

In a pool of their own, so that a package which has them, too, does not stand in the way.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "muster.senders"
_REPEATED, _OPTIONAL = FieldDescriptorProto.LABEL_REPEATED, FieldDescriptorProto.LABEL_OPTIONAL
_KINDS: Mapping[str, Any] = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
}

# message → field → (number, kind); a kind in brackets is repeated, one that is no scalar is a message from here
_FIELDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    # https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto
    "Status": {"code": (1, "int32"), "message": (2, "string")},
    # https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto and types.proto
    "WriteRequest": {"timeseries": (1, "[TimeSeries]")},
    "TimeSeries": {"labels": (1, "[Label]"), "samples": (2, "[Sample]")},
    "Label": {"name": (1, "string"), "value": (2, "string")},
    "Sample": {"value": (1, "double"), "timestamp": (2, "int64")},
}


def _field(name: str, number: int, kind: str) -> FieldDescriptorProto:
    scalar = kind.strip("[]")
    label = _REPEATED if kind.startswith("[") else _OPTIONAL
    if scalar in _KINDS:
        return FieldDescriptorProto(name=name, number=number, label=label, type=_KINDS[scalar])
    return FieldDescriptorProto(
        name=name,
        number=number,
        label=label,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.{scalar}",
    )


def _build() -> Mapping[str, Any]:
    messages = [
        DescriptorProto(name=message, field=[_field(name, *field) for name, field in fields.items()])
        for message, fields in _FIELDS.items()
    ]
    pool = DescriptorPool()
    file = FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3", message_type=messages)
    pool.AddSerializedFile(file.SerializeToString())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}


_MESSAGES = _build()
Status = _MESSAGES["Status"]
"""google.rpc.Status, without details."""

WriteRequest = _MESSAGES["WriteRequest"]
"""prometheus.WriteRequest, as much of it as is looked at."""
