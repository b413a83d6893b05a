"""The doors that are no routes of Litestar, as the OpenAPI document has them: never served, only described."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import JSONBody

from services.ingest import metrics_door
from services.ingest.messages import MetricsTaken
from services.ingest.routes import SECURITY_SCHEME
from services.ingest.senders import otlp_door, remote_write_door
from services.ingest.senders.otlp_json import ExportRequest, ExportTaken, RpcStatus
from shared.io.litestar_problems import documented
from shared.resources.metrics import Sample

RELAY_SCHEME = "relayToken"

_PROTOBUF = "application/x-protobuf"
_NOT_TAKEN = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_AGENTS_ONLY: list[dict[str, list[str]]] = [{SECURITY_SCHEME: []}]


def _encoded_as(*encodings: str, required: bool = False) -> Parameter:
    schema = Schema(type=OpenAPIType.STRING, enum=list(encodings))
    return Parameter(name="Content-Encoding", param_in="header", schema=schema, required=required)


def _binary(what: str) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=what))


@dataclass
class MetricsOperation(Operation):
    """Samples as one a line, too, and encoded."""

    def __post_init__(self) -> None:
        """Add what Litestar does not know."""
        self.parameters = [_encoded_as("gzip", "x-gzip", "zstd", "identity")]
        lines = Schema(type=OpenAPIType.STRING, description="one Sample as JSON in each line")
        assert isinstance(self.request_body, RequestBody)  # noqa: S101  (it has a `data`)
        self.request_body.content["application/x-ndjson"] = OpenAPIMediaType(schema=lines)


@dataclass
class OtlpOperation(Operation):
    """Each body as protobuf, too, and encoded."""

    def __post_init__(self) -> None:
        """Add what Litestar does not know."""
        self.parameters = [_encoded_as("gzip", "x-gzip", "zstd", "identity")]
        assert isinstance(self.request_body, RequestBody)  # noqa: S101  (it has a `data`)
        self.request_body.content[_PROTOBUF] = _binary(
            "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest"
        )
        for status, response in (self.responses or {}).items():
            if isinstance(response, OpenAPIResponse) and response.content is not None:
                is_taken = status == str(int(HTTPStatus.OK))
                response.content[_PROTOBUF] = _binary(
                    "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceResponse"
                    if is_taken
                    else "google.rpc.Status"
                )


@dataclass
class RemoteWriteOperation(Operation):
    """A body that is protobuf in a block of Snappy."""

    def __post_init__(self) -> None:
        """Add what Litestar does not know."""
        self.parameters = [_encoded_as("snappy", required=True)]
        self.request_body = RequestBody(content={_PROTOBUF: _binary("prometheus.WriteRequest")}, required=True)


@post(
    metrics_door.PATH,
    operation_id="sendMetrics",
    operation_class=MetricsOperation,
    summary="Take samples in",
    status_code=HTTPStatus.ACCEPTED,
    security=[{SECURITY_SCHEME: []}, {RELAY_SCHEME: []}],
    responses=documented(*_NOT_TAKEN),
)
async def describe_metrics(data: JSONBody[Sample | list[Sample]]) -> MetricsTaken:
    """Take one sample, or up to 1,000 in an array or as lines: the good ones are kept when others are bad.

    A body has at most 1,000,000 bytes, and 4,000,000 once its encoding is undone. The samples of a relay have
    `server_id` or `agent_id`, too, to say whose each is; those that are not for it to send are rejected with
    `unknown_server`, whether there is such a server or not.
    """
    raise NotImplementedError


@post(
    otlp_door.PATH,
    operation_id="sendOtlpMetrics",
    operation_class=OtlpOperation,
    summary="Take metrics of OpenTelemetry in",
    status_code=HTTPStatus.OK,
    security=_AGENTS_ONLY,
    responses={
        int(status): ResponseSpec(RpcStatus, description=status.phrase, generate_examples=False)
        for status in _NOT_TAKEN
    },
)
async def describe_otlp(data: JSONBody[ExportRequest]) -> ExportTaken:
    """Make samples of host metrics, as OTLP over HTTP has it; `partialSuccess` names what is not kept here.

    A body has at most 1,000,000 bytes, and 2,000,000 once its encoding is undone.
    """
    raise NotImplementedError


@post(
    remote_write_door.PATH,
    operation_id="sendPrometheusMetrics",
    operation_class=RemoteWriteOperation,
    summary="Take metrics of Prometheus in",
    status_code=HTTPStatus.NO_CONTENT,
    security=_AGENTS_ONLY,
    responses=documented(*_NOT_TAKEN),
)
async def describe_remote_write() -> None:
    """Make samples of what node_exporter measures, as remote write 1.0 has it; other series are passed by.

    A body has at most 1,000,000 bytes, and 2,000,000 once its encoding is undone.
    """
    raise NotImplementedError


DESCRIBED: tuple[Any, ...] = (describe_metrics, describe_otlp, describe_remote_write)
