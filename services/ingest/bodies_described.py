"""Bodies that Litestar cannot describe in the OpenAPI document: of other types than JSON."""

from dataclasses import dataclass
from http import HTTPStatus

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

_PROTOBUF = "application/x-protobuf"


def _binary(what: str) -> OpenAPIMediaType:
    return OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=what))


@dataclass
class OtlpOperation(Operation):
    """Each body as protobuf, too."""

    def __post_init__(self) -> None:
        """Add what Litestar does not know."""
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
        encoding = Schema(type=OpenAPIType.STRING, enum=["snappy"])
        self.parameters = [Parameter(name="Content-Encoding", param_in="header", schema=encoding, required=True)]
        self.request_body = RequestBody(content={_PROTOBUF: _binary("prometheus.WriteRequest")}, required=True)
