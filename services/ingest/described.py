"""The doors of other senders, as the OpenAPI document has them: never served, only described."""

from http import HTTPStatus
from typing import Any

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from services.ingest.bodies_described import OtlpOperation, RemoteWriteOperation
from services.ingest.routes import SECURITY_SCHEME
from services.ingest.senders import otlp_door, remote_write_door
from services.ingest.senders.otlp_json import ExportRequest, ExportTaken, RpcStatus
from shared.io.litestar_problems import documented

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

    A body may be encoded with gzip or zstd (`Content-Encoding`), and has at most 2,000,000 bytes then once that is
    undone.
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

    A body is a block of Snappy, and has at most 2,000,000 bytes once that is undone.
    """
    raise NotImplementedError


DESCRIBED: tuple[Any, ...] = (describe_otlp, describe_remote_write)
