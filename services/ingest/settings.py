"""What ingest alone reads from its environment."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

Amount = Annotated[int, Meta(ge=1)]


class Admission(msgspec.Struct, frozen=True):
    """Who may enrol, and how much an agent may send: samples a second, and at once (for what it had to keep)."""

    shared_token: str = field(name="AGENT_SHARED_TOKEN", default="")
    samples_per_s: Amount = field(name="AGENT_SAMPLES_PER_S", default=5_000)
    samples_at_once: Amount = field(name="AGENT_SAMPLES_AT_ONCE", default=50_000)


class Streaming(msgspec.Struct, frozen=True):
    """How many streams of agents a replica takes."""

    most_streams: Amount = field(name="MAX_STREAMS", default=20_000)
