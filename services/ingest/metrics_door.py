"""The HTTP door for samples: `POST /ingest/v1/metrics` as plain ASGI, because routing would cost more than the rest."""

from collections.abc import MutableMapping
from typing import Any

import msgspec

from services.ingest import counts
from services.ingest.body import ClientGone, read_body, too_large
from services.ingest.credentials import Credentials
from services.ingest.intake import Intake
from shared.errors import MusterError
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem

PATH = "/ingest/v1/metrics"
MAX_BODY_BYTES = 1_000_000

_encode = msgspec.json.Encoder().encode


class MetricsDoor:
    """An ASGI application for this one path."""

    def __init__(self, credentials: Credentials, intake: Intake) -> None:
        self._credentials = credentials
        self._intake = intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        try:
            authorization = _authorization(scope)
            identity = self._credentials.recall(authorization) or await self._credentials.authenticate(authorization)
            body = await read_body(receive, limit_bytes=MAX_BODY_BYTES)
            taken = _encode(await self._intake.take(identity, body))
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and answered with 500)
            await _answer_failure(as_muster_error(error, PATH), send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(taken))]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": taken})


def _authorization(scope: Scope) -> bytes:
    """Return the value of that header; raises HttpError for a request whose head is enough to refuse it."""
    if scope["method"] != "POST":
        raise HttpError(405, "method_not_allowed", "samples are POSTed", headers=(("Allow", "POST"),))
    authorization = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise HttpError(415, "unsupported_encoding", "bodies are taken as they are, not compressed")
    return authorization


async def _answer_failure(failure: MusterError, send: Send) -> None:
    async def counted(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            counts.REFUSED.labels(str(message["status"])).inc()
        await send(message)

    await answer_problem(failure, counted)
