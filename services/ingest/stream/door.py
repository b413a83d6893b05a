"""The door of the stream, `GET /ingest/v1/ws`: who may open one."""

from services.ingest import counts
from services.ingest.credentials import Credentials, secret_hash_of
from services.ingest.stream.connections import Connections
from services.ingest.stream.peer import Peer
from shared.errors import MusterError
from shared.io.litestar_problems import as_muster_error
from shared.io.probes import Message, Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem, problem_of
from shared.io.websocket_protocol import EXTENSION

PATH = "/ingest/v1/ws"
SUBPROTOCOL = "muster.agent.v1"

_UPGRADE_REQUIRED = HttpError(
    426, "upgrade_required", "this path speaks WebSocket", headers=[("Upgrade", "websocket"), ("Connection", "Upgrade")]
)
_NOT_FOUND = HttpError(404, "not_found", "there is nothing here")


class StreamDoor:
    """An ASGI application for this one path, and for WebSockets that come by any other."""

    def __init__(self, credentials: Credentials, connections: Connections) -> None:
        self._credentials = credentials
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a stream from its handshake to its end, or answer a request that is for none."""
        if scope["type"] != "websocket":
            await answer_problem(_UPGRADE_REQUIRED, send)
            return
        await receive()
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        try:
            if scope["path"] != PATH:
                raise _NOT_FOUND  # noqa: TRY301  (all refusals are answered in one place)
            subprotocol = _agree(scope["subprotocols"])
            self._connections.check_room()
            identity = await self._credentials.authenticate(authorization)
            place = self._connections.take_place(identity)
        except Exception as error:  # noqa: BLE001  (one that nobody expected is logged, and answered with 500)
            await _refuse(as_muster_error(error, PATH), send)
            return
        with place:
            await send({"type": "websocket.accept", "subprotocol": subprotocol})
            wire = scope["extensions"].pop(EXTENSION)  # left there, it would hold itself, and with it all that it holds
            scope.pop("headers", None)
            await self._connections.serve(identity, secret_hash_of(authorization), Peer(receive, send, wire), place)


def _agree(offered: list[str]) -> str | None:
    if not offered:
        return None
    if SUBPROTOCOL not in offered:
        raise HttpError(400, "bad_request", f"the subprotocol offered here is {SUBPROTOCOL}")
    return SUBPROTOCOL


async def _refuse(error: MusterError, send: Send) -> None:
    """Answer the handshake of a WebSocket with a problem instead of accepting it."""
    counts.STREAMS_REFUSED.labels(str(problem_of(error)[0].status)).inc()

    async def send_instead(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await answer_problem(error, send_instead)
