"""The broadcaster's own settings."""

from collections.abc import Mapping

from msgspec import Struct, field

from services.broadcaster.origin import normal_origin
from shared.settings import BadSetting, Seconds, load


class Broadcasting(Struct, frozen=True):
    """How often a topic sends, and which pages besides our own may connect (comma-separated origins)."""

    conflation_tick_s: Seconds = field(name="CONFLATION_TICK", default=0.1)
    allowed_origins: str = field(name="ALLOWED_ORIGINS", default="")


def load_origins(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the origins of ALLOWED_ORIGINS in their normal form; raises BadSetting."""
    listed = [text.strip() for text in load(Broadcasting, environment).allowed_origins.split(",") if text.strip()]
    origins = {text: normal_origin(text.removesuffix("/")) for text in listed}
    for text, origin in origins.items():
        if not origin:
            raise BadSetting(f"ALLOWED_ORIGINS names {text!r}, which is no origin of the form https://host[:port]")
    return frozenset(origins.values())
