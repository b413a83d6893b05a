"""What OTLP over HTTP is answered, in the encoding of the request. Pure.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from collections.abc import Mapping

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from services.ingest.messages import MetricsTaken
from services.ingest.senders import otlp_json
from services.ingest.senders.messages import Status
from services.ingest.senders.otlp_reader import MAX_NAMED, OtlpReader
from shared.errors import MusterError
from shared.io.problem import problem_of

PROTOBUF, JSON = b"application/x-protobuf", b"application/json"

_UNKNOWN = 2
_GRPC_CODES: Mapping[int, int] = {
    **dict.fromkeys((400, 413, 415, 422), 3),
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    429: 8,
    500: 13,
    503: 14,
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto"""


def success(reader: OtlpReader, taken: MetricsTaken, media_type: bytes) -> bytes:
    """Return the answer to a request that was read, and whose samples were taken."""
    message = _what_was_dropped(reader, taken)
    if media_type == JSON:
        partial = otlp_json.PartialSuccess(str(reader.dropped), message) if message else None
        return otlp_json.encode(otlp_json.ExportTaken(partial))
    if not message:
        return ExportMetricsServiceResponse().SerializeToString()
    partial_success = ExportMetricsPartialSuccess(rejected_data_points=reader.dropped, error_message=message)
    return ExportMetricsServiceResponse(partial_success=partial_success).SerializeToString()


def failure(error: MusterError, media_type: bytes) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Return the status, the body and the headers of the answer to a request that was not taken."""
    problem, headers = problem_of(error)
    code, message = _GRPC_CODES.get(problem.status, _UNKNOWN), f"{problem.code}: {problem.detail}"
    headers["Content-Type"] = (PROTOBUF if media_type == PROTOBUF else JSON).decode()
    body = (
        Status(code=code, message=message).SerializeToString()
        if media_type == PROTOBUF
        else otlp_json.encode(otlp_json.RpcStatus(code, message))
    )
    return problem.status, body, [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _what_was_dropped(reader: OtlpReader, taken: MetricsTaken) -> str:
    said = [f"{bad.code}: {bad.message}" for bad in taken.rejected[:1]]
    if reader.dropped:
        names = ", ".join(reader.dropped_names)
        more = " and others" if len(reader.dropped_names) == MAX_NAMED else ""
        said.append(f"not kept here: {names}{more}")
    return "; ".join(said)
