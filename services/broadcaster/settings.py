"""The broadcaster's own settings."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

from services.broadcaster.limits import Limits
from services.broadcaster.origin import normal_origin
from shared.settings import BadSetting, Seconds, load

Connections = Annotated[int, Meta(ge=1)]


class Broadcasting(Struct, frozen=True):
    """How often a topic sends, who may connect (comma-separated origins of pages besides our own), and how many do.

    `socketio_enabled` says whether Socket.IO is spoken.
    """

    conflation_tick_s: Seconds = field(name="CONFLATION_TICK", default=0.1)
    allowed_origins: str = field(name="ALLOWED_ORIGINS", default="")
    connections: Connections = field(name="MAX_CONNECTIONS", default=20_000)
    connections_per_user: Connections = field(name="MAX_CONNECTIONS_PER_USER", default=200)
    connections_per_address: Connections = field(name="MAX_CONNECTIONS_PER_ADDRESS", default=2_000)
    socketio_enabled: bool = field(name="SOCKETIO_ENABLED", default=True)

    @property
    def limits(self) -> Limits:
        """The bounds of connections that these settings lead to."""
        return Limits(
            connections=self.connections,
            connections_per_user=self.connections_per_user,
            connections_per_address=self.connections_per_address,
        )


def load_origins(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the origins of ALLOWED_ORIGINS in their normal form; raises BadSetting."""
    listed = [text.strip() for text in load(Broadcasting, environment).allowed_origins.split(",") if text.strip()]
    origins = {text: normal_origin(text.removesuffix("/")) for text in listed}
    for text, origin in origins.items():
        if not origin:
            raise BadSetting(f"ALLOWED_ORIGINS names {text!r}, which is no origin of the form https://host[:port]")
    return frozenset(origins.values())
