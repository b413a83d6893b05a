"""The broadcaster's WebSocket: frames that many share are written to the transport as they are, deflated or plain."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from websockets.extensions import ServerExtensionFactory
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory
from websockets.http11 import Request

from services.broadcaster.frames import DEFLATED, PLAIN, WINDOW_BITS, Form
from shared.io.websocket_protocol import LeanProtocol

SOCKETIO_PATH = "/socket.io/"

_EXTENSIONS = "Sec-WebSocket-Extensions"


class Wire(Protocol):
    """A connection, for frames that are ready to be written."""

    form: Form
    """As what it takes them."""

    def attach(self, block: Callable[[], None], flow: Callable[[], None]) -> None:
        """Call `block` when the peer takes no more for now, or has gone, and `flow` when it takes more again."""

    @property
    def write(self) -> Callable[[Any], None]:
        """What writes a frame in this form, after everything that was sent or written before."""

    def detach(self) -> None:
        """Forget whom to call."""

    def abort(self) -> None:
        """Drop the connection with all that waits to be sent."""


class SyncProtocol(LeanProtocol):
    """A Wire."""

    # without takeover of context in either direction: a frame can be shared, and no window is kept for a connection
    offered: ClassVar[list[ServerExtensionFactory]] = [
        ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    ]

    def handle_connect(self, event: Request) -> None:
        """Note in which form this peer takes frames."""
        if event.path.startswith(SOCKETIO_PATH) and _EXTENSIONS in event.headers:
            # its frames are not ours to share: each would be deflated for each client anew
            del event.headers[_EXTENSIONS]
        super().handle_connect(event)
        self.form: Form = DEFLATED if any(map(_takes_deflated, self.conn.extensions)) else PLAIN


def _takes_deflated(extension: object) -> bool:
    return isinstance(extension, PerMessageDeflate) and extension.local_max_window_bits >= WINDOW_BITS
