"""What the api alone reads from the environment."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

_Origin = Annotated[str, Meta(pattern=r"^(https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?)?$(?!\n)")]


class Delivery(msgspec.Struct, frozen=True):
    """Which agents the installation offers, and at which address machines reach it.

    Without a public address, it is the one that the request for an installer was sent to.
    """

    agents_dir: str = field(name="AGENTS_DIR", default="")
    public_url: _Origin = field(name="PUBLIC_URL", default="")
