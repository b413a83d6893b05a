"""The HTTP door for Prometheus: `POST /ingest/prometheus/write`, remote write 1.0, as plain ASGI."""

from typing import Any

import cramjam
from google.protobuf.message import DecodeError

from services.ingest.account import BYTES_A_SAMPLE, Account
from services.ingest.body import ClientGone, read_paid_body
from services.ingest.credentials import Credentials
from services.ingest.door import Head, answer, counted, read_head, require_encoding
from services.ingest.senders.messages import WriteRequest
from services.ingest.senders.remote_write_reader import RemoteWriteReader
from services.ingest.senders.sender_intake import MAX_DECODED_BYTES, MAX_ENCODED_BYTES, SenderIntake
from shared.errors import Malformed
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem

PATH = "/ingest/prometheus/write"
PROTOBUF = b"application/x-protobuf"

_SNAPPY = b"snappy"
_ACCEPTED = (("Accept-Encoding", "snappy"),)
_PROTO_1 = b"prometheus.writerequest"


class RemoteWriteDoor:
    """An ASGI application for this one path."""

    def __init__(self, credentials: Credentials, intake: SenderIntake) -> None:
        self._credentials = credentials
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        try:
            await self._take(read_head(scope), receive)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and answered with 500)
            await answer_problem(as_muster_error(error, PATH), counted(send))
            return
        await answer(send, 204, b"", [])

    async def _take(self, head: Head, receive: Receive) -> None:
        identity = await self._credentials.authenticate(head.authorization)
        _require_version_1(head)
        require_encoding(head.encoding or b"identity", {_SNAPPY}, _ACCEPTED)
        account = self._intake.account(identity)
        body = await read_paid_body(receive, account, limit_bytes=MAX_ENCODED_BYTES)
        reader = RemoteWriteReader()
        request = _request_of(decompressed(body, account))
        await self._intake.take(identity, reader.read(request), lambda: reader.machines)


def _require_version_1(head: Head) -> None:
    """Raise HttpError 415 for what is no remote write, or of another version: its sender then takes an earlier one."""
    parameters = dict(each.strip().partition(b"=")[::2] for each in head.content_type.lower().split(b";")[1:])
    if head.media_type != PROTOBUF or parameters.get(b"proto", _PROTO_1).strip(b'"') != _PROTO_1:
        raise HttpError(
            415, "unsupported_media_type", "application/x-protobuf with a prometheus.WriteRequest is taken here"
        )


def decompressed(body: bytes, account: Account) -> bytes:
    """Undo Snappy's block format; raises Malformed, and HttpError 413 before much memory is taken."""
    try:
        size_bytes = cramjam.snappy.decompress_raw_len(body)
        if size_bytes > MAX_DECODED_BYTES:
            raise HttpError(413, "too_large", f"a body has at most {MAX_DECODED_BYTES} bytes here once it is decoded")
        account.charge(size_bytes // BYTES_A_SAMPLE)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Malformed(f"the body is no block of Snappy: {error}") from error


def _request_of(body: bytes) -> Any:  # noqa: ANN401  (a message made at run time)
    try:
        return WriteRequest.FromString(body)
    except DecodeError as error:
        raise Malformed("this is no prometheus.WriteRequest") from error
