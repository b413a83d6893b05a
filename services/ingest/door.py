"""What the doors for samples share, each plain ASGI: the head of a request, its body, and how a failure is answered."""

from collections.abc import Collection, MutableMapping
from typing import Any

import msgspec

from services.ingest import counts
from services.ingest.body import too_large
from shared.io.probes import Scope, Send
from shared.io.problem import HttpError

MAX_BODY_BYTES = 1_000_000
"""How large a body may be, encoded or not."""

Headers = tuple[tuple[str, str], ...]


class Head(msgspec.Struct, frozen=True, gc=False):
    """What the head of a request says, empty where it says nothing; `encoding` is empty for `identity`, too."""

    authorization: bytes
    content_type: bytes
    encoding: bytes

    @property
    def media_type(self) -> bytes:
        """The type without parameters."""
        return self.content_type.partition(b";")[0].strip().lower()


def read_head(scope: Scope) -> Head:
    """Read what matters of a head; raises HttpError for a request whose head is enough to refuse it."""
    if scope["method"] != "POST":
        raise HttpError(405, "method_not_allowed", "samples are POSTed", headers=(("Allow", "POST"),))
    authorization = content_type = encoding = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"content-type":
            content_type = value
        elif name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise too_large(MAX_BODY_BYTES)
        elif name == b"content-encoding":
            # several headers say what one with commas does: encodings on top of each other
            encoding = (encoding + b"," + value if encoding else value).strip().lower()
    return Head(authorization, content_type, b"" if encoding == b"identity" else encoding)


def require_encoding(encoding: bytes, taken: Collection[bytes], headers: Headers) -> None:
    """Raise HttpError 415, with `headers` that say what is taken, for another encoding."""
    if encoding and encoding not in taken:
        shown = encoding[:40].decode("latin-1")
        raise HttpError(415, "unsupported_encoding", f"bodies are not taken as {shown!r} here", headers=headers)


def counted(send: Send) -> Send:
    """Return a way to answer with a failure that is counted by its status."""

    async def count(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            counts.REFUSED.labels(str(message["status"])).inc()
        await send(message)

    return count


async def answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer a request with a body, whose length is added to the headers."""
    lengths = [] if status == 204 else [(b"content-length", b"%d" % len(body))]  # noqa: PLR2004  (RFC 9110, 8.6)
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *lengths]})
    await send({"type": "http.response.body", "body": body})
