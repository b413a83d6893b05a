"""The broadcaster's ASGI application: the sync protocol at `/ws`, `/events` and `/socket.io/`; a problem elsewhere."""

from services.broadcaster.events import EventsEndpoint
from services.broadcaster.socketio_endpoint import SocketIoEndpoint
from services.broadcaster.transport import SOCKETIO_PATH
from services.broadcaster.websocket import SyncEndpoint, refuse_handshake
from shared.io.probes import AsgiApp, Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem

_SYNC_PATH = "/ws"
_EVENTS_PATH = "/events"

_NOT_FOUND = HttpError(404, "not_found", "there is nothing here")
_UPGRADE_REQUIRED = HttpError(
    426, "upgrade_required", "this path speaks WebSocket", headers=[("Upgrade", "websocket"), ("Connection", "Upgrade")]
)


def build_app(sync: SyncEndpoint, events: EventsEndpoint, socketio: SocketIoEndpoint | None) -> AsgiApp:
    """Return the application, without Socket.IO when that is None; tests build it from other parts."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if socketio is not None and path == SOCKETIO_PATH:
            await socketio(scope, receive, send)
        elif scope["type"] == "websocket":
            if path == _SYNC_PATH:
                await sync(scope, receive, send)
            else:
                await refuse_handshake(_NOT_FOUND, send)
        elif path == _EVENTS_PATH:
            await events(scope, receive, send)
        else:
            await answer_problem(_UPGRADE_REQUIRED if path == _SYNC_PATH else _NOT_FOUND, send)

    return app
