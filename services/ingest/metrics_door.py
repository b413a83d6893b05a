"""The HTTP door for samples: `POST /ingest/v1/metrics` as plain ASGI, because routing would cost more than the rest."""

import msgspec

from services.ingest.account import Account
from services.ingest.body import ClientGone, read_paid_body
from services.ingest.content import ACCEPTED, ENCODINGS, ContentDecoder
from services.ingest.credentials import Credentials
from services.ingest.door import (
    MAX_BODY_BYTES,
    Head,
    answer,
    counted,
    read_head,
    require_encoding,
)
from services.ingest.faults import not_json
from services.ingest.intake import Intake
from services.ingest.items import TooManySamples, items_of, lines_of
from services.ingest.messages import MetricsTaken
from services.ingest.relay_intake import RelayIntake
from services.ingest.relays import Relay, Relays, may_be_a_relays
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem
from shared.validation import UNREADABLE

PATH = "/ingest/v1/metrics"
NDJSON = frozenset({b"application/x-ndjson", b"application/ndjson"})
"""The types of a body with one sample a line."""

_JSON_HEADERS = [(b"content-type", b"application/json")]

_encode = msgspec.json.Encoder().encode


class MetricsDoor:
    """An ASGI application for this one path."""

    def __init__(
        self,
        credentials: Credentials,
        intake: Intake,
        decoder: ContentDecoder,
        relays: Relays,
        relay_intake: RelayIntake,
    ) -> None:
        self._credentials = credentials
        self._intake = intake
        self._decoder = decoder
        self._relays = relays
        self._relay_intake = relay_intake

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        try:
            head = read_head(scope)
            require_encoding(head.encoding, ENCODINGS, ACCEPTED)
            taken = _encode(await self._take(head, receive))
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and answered with 500)
            await answer_problem(as_muster_error(error, PATH), counted(send))
            return
        await answer(send, 202, taken, _JSON_HEADERS)

    async def _take(self, head: Head, receive: Receive) -> MetricsTaken:
        authorization = head.authorization
        if may_be_a_relays(authorization):
            relay = await self._relays.find(authorization)
            if relay is not None:
                return await self._take_relayed(relay, head, receive)
        identity = self._credentials.recall(authorization) or await self._credentials.authenticate(authorization)
        body = await self._read(head, receive, self._intake.account(identity))
        if head.media_type in NDJSON:
            return await self._intake.take_each(identity, _told_apart(head, body))
        return await self._intake.take(identity, body)

    async def _take_relayed(self, relay: Relay, head: Head, receive: Receive) -> MetricsTaken:
        body = await self._read(head, receive, self._relay_intake.account(relay))
        return await self._relay_intake.take(relay, _told_apart(head, body))

    async def _read(self, head: Head, receive: Receive, account: Account) -> bytes:
        """Return the body of a sender that may send, at its expense; raises HttpError (408, 413, 429) and Malformed."""
        body = await read_paid_body(receive, account, limit_bytes=MAX_BODY_BYTES)
        return await self._decoder.decode(body, head.encoding, account) if head.encoding else body


def _told_apart(head: Head, body: bytes) -> list[msgspec.Raw]:
    """Return the samples of a body as they are; raises Malformed, and HttpError (413) for too many."""
    try:
        if head.media_type in NDJSON:
            return lines_of(body)
        return items_of(body) if body.lstrip()[:1] == b"[" else [msgspec.Raw(body)]
    except TooManySamples as error:
        raise HttpError(413, error.code, str(error)) from error
    except UNREADABLE as error:
        raise not_json(error) from error
