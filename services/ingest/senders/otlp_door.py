"""The HTTP door for OTLP's metrics: `POST /ingest/otlp/v1/metrics`, protobuf and JSON, as plain ASGI."""

from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.ingest.body import ClientGone, read_paid_body
from services.ingest.content import ACCEPTED, ENCODINGS, ContentDecoder
from services.ingest.credentials import Credentials
from services.ingest.door import Head, answer, counted, read_head, require_encoding
from services.ingest.faults import fault_of
from services.ingest.senders import otlp_json
from services.ingest.senders.otlp_answers import JSON, PROTOBUF, failure, success
from services.ingest.senders.otlp_reader import OtlpReader
from services.ingest.senders.sender_intake import MAX_DECODED_BYTES, MAX_ENCODED_BYTES, SenderIntake
from shared.errors import Malformed
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Receive, Scope, Send
from shared.io.problem import HttpError
from shared.validation import UNREADABLE

PATH = "/ingest/otlp/v1/metrics"


class OtlpDoor:
    """An ASGI application for this one path."""

    def __init__(self, credentials: Credentials, intake: SenderIntake, decoder: ContentDecoder) -> None:
        self._credentials = credentials
        self._intake = intake
        self._decoder = decoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        media_type = b""
        try:
            head = read_head(scope)
            media_type = head.media_type
            body = await self._take(head, receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and answered with 500)
            await answer(counted(send), *failure(as_muster_error(error, PATH), media_type))
            return
        await answer(send, 200, body, [(b"content-type", media_type)])

    async def _take(self, head: Head, receive: Receive) -> bytes:
        identity = await self._credentials.authenticate(head.authorization)
        if head.media_type not in {PROTOBUF, JSON}:
            raise HttpError(415, "unsupported_media_type", "OTLP is sent as application/x-protobuf or application/json")
        require_encoding(head.encoding, ENCODINGS, ACCEPTED)
        account = self._intake.account(identity)
        body = await read_paid_body(receive, account, limit_bytes=MAX_ENCODED_BYTES)
        if head.encoding:
            body = await self._decoder.decode(body, head.encoding, account, MAX_DECODED_BYTES)
        request = _request_of(body, head.media_type)
        reader = OtlpReader()
        taken = await self._intake.take(identity, reader.read(request), lambda: reader.machines)
        return success(reader, taken, head.media_type)


def _request_of(body: bytes, media_type: bytes) -> Any:  # noqa: ANN401  (one of two kinds, see OtlpReader)
    """Decode a request; raises Malformed, and Rejected for JSON with a wrong value."""
    if media_type == PROTOBUF:
        try:
            return ExportMetricsServiceRequest.FromString(body)
        except DecodeError as error:
            raise Malformed("this is no ExportMetricsServiceRequest") from error
    try:
        # as text: msgspec does not look into the strings of unknown fields
        return otlp_json.decode(body.decode())
    except UNREADABLE as error:
        raise fault_of(body, error, code="invalid") from error
