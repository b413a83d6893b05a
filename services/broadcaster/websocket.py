"""The WebSocket endpoint: who may open a connection."""

from collections.abc import Collection, Mapping, Sequence

from services.broadcaster.connection import Peer
from services.broadcaster.connections import Connections
from services.broadcaster.origin import is_allowed_origin
from shared.errors import MusterError
from shared.io.address import address_of
from shared.io.probes import Message, Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem
from shared.io.websocket_protocol import EXTENSION
from shared.protocol import SUBPROTOCOL


class SyncEndpoint:
    """Serves `/ws`. `origins` are the pages besides our own that may connect, as `normal_origin` writes them."""

    def __init__(self, connections: Connections, origins: Collection[str]) -> None:
        self._connections = connections
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        await receive()
        headers = headers_of(scope)
        address = sender_of(scope, headers)
        try:
            subprotocol = self._agree(headers, scope["subprotocols"])
        except HttpError as error:
            await refuse_handshake(error, send)
            return
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        wire = scope["extensions"].pop(EXTENSION)  # left there, it would hold itself, and with it all that it holds
        await self._connections.serve(Peer(receive, send, wire), address)

    def _agree(self, headers: Mapping[bytes, str], offered: Sequence[str]) -> str | None:
        """Check a handshake and return the subprotocol to speak; raises HttpError."""
        if not is_allowed_origin(headers.get(b"origin"), headers.get(b"host", ""), self._origins):
            raise HttpError(403, "forbidden", "pages of this origin may not connect")
        if not offered:
            return None
        if SUBPROTOCOL not in offered:
            raise HttpError(400, "bad_request", f"the subprotocol offered here is {SUBPROTOCOL}")
        return SUBPROTOCOL


def headers_of(scope: Scope) -> dict[bytes, str]:
    """Return the headers of a request; of those that come more than once the last."""
    return {name: value.decode("latin-1") for name, value in scope["headers"]}


def sender_of(scope: Scope, headers: Mapping[bytes, str]) -> str:
    """Return the address whose connections are counted together."""
    return address_of(scope["client"][0] if scope["client"] else "", headers.get(b"x-forwarded-for"))


async def refuse_handshake(error: MusterError, send: Send) -> None:
    """Answer the handshake of a WebSocket with a problem instead of accepting it."""

    async def send_instead(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await answer_problem(error, send_instead)
