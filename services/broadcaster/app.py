"""The broadcaster's ASGI application: the sync protocol at `/ws`, a problem everywhere else."""

from services.broadcaster.websocket import SyncEndpoint, refuse_handshake
from shared.io.probes import AsgiApp, Receive, Scope, Send
from shared.io.problem import HttpError, answer_problem

_SYNC_PATH = "/ws"


_NOT_FOUND = HttpError(404, "not_found", "there is nothing here")
_UPGRADE_REQUIRED = HttpError(
    426, "upgrade_required", "this path speaks WebSocket", headers=[("Upgrade", "websocket"), ("Connection", "Upgrade")]
)


def build_app(sync: SyncEndpoint) -> AsgiApp:
    """Return the application; tests build it from other parts."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_sync = scope["path"] == _SYNC_PATH
        if scope["type"] != "websocket":
            await answer_problem(_UPGRADE_REQUIRED if is_sync else _NOT_FOUND, send)
        elif is_sync:
            await sync(scope, receive, send)
        else:
            await refuse_handshake(_NOT_FOUND, send)

    return app
