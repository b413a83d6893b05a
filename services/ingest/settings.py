"""What ingest alone reads from its environment."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

Amount = Annotated[int, Meta(ge=1)]


class Admission(msgspec.Struct, frozen=True):
    """Who may enrol, and how much an agent, and a relay, may send: samples a second, and at once.

    What agents had to keep they send a hundred a second (`BACKFILL_PER_S`): five things each is enough for samples of
    4 kB. At once is what the dearest request costs, 4 MB of samples once they are decoded.
    """

    shared_token: str = field(name="AGENT_SHARED_TOKEN", default="")
    samples_per_s: Amount = field(name="AGENT_SAMPLES_PER_S", default=500)
    samples_at_once: Amount = field(name="AGENT_SAMPLES_AT_ONCE", default=5_000)
    relay_samples_per_s: Amount = field(name="RELAY_SAMPLES_PER_S", default=5_000)
    relay_samples_at_once: Amount = field(name="RELAY_SAMPLES_AT_ONCE", default=50_000)


class Streaming(msgspec.Struct, frozen=True):
    """How many streams of agents a replica takes."""

    most_streams: Amount = field(name="MAX_STREAMS", default=20_000)
