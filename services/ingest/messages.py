"""What agents send and what they are answered. Unknown names are ignored: a newer agent may send more."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.resources.declaration import Count, Identifier, Labels, Line, Time
from shared.resources.servers import OperatingSystem

RequiredLine = Annotated[Line, Meta(min_length=1)]

MAX_INVENTORY_BYTES = 65_536
MAX_INVENTORY_DEPTH = 32
Inventory = Annotated[
    dict[Line, Any],
    Meta(
        max_length=1000,
        description=f"What the machine has: any JSON of at most {MAX_INVENTORY_BYTES} bytes, nested at most "
        f"{MAX_INVENTORY_DEPTH} deep, without the character NUL, integers of 64 bits",
    ),
]


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """A machine asks for a credential. `agent_id` is an earlier one, proven by its secret, or a wish for a new one."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    hostname: RequiredLine
    machine_id: RequiredLine
    name: Line = ""
    groups: Labels = ()
    agent_id: Identifier | None = None


class Enrolled(msgspec.Struct, frozen=True):
    """The credential; the secret is told this once."""

    agent_id: str
    secret: str
    server_id: str
    workspace_id: str


class Rotated(msgspec.Struct, frozen=True):
    """The secret that replaces the one before it as soon as it is used; it is told this once."""

    secret: str


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent and its machine are, told at each start and whenever it changes; `ts` is the agent's own time."""

    boot_id: Identifier
    agent_version: Line = ""
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 5.0
    ts: Time | None = None
    os: OperatingSystem = OperatingSystem()
    inventory: Inventory = {}


class Welcome(msgspec.Struct, frozen=True):
    """The answer to a handshake: the agent is to send samples every `interval_s` seconds, and may be to rotate."""

    server_id: str
    server_time: datetime
    interval_s: float
    rotate: bool = False


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent is; what is left out stays as it was."""

    healthy: bool | None = None
    clients_count: Count | None = None
    sync_revision: Count | None = None
    groups: Labels | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether it is a sign of life and no more."""
        return all(getattr(self, name) is None for name in Status.__struct_fields__)


class StatusTaken(msgspec.Struct, frozen=True):
    """The answer to a status message."""

    server_time: datetime


class BadSample(msgspec.Struct, frozen=True):
    """Why the sample with this index of the request was not taken."""

    index: int
    code: str
    message: str


class MetricsTaken(msgspec.Struct, frozen=True):
    """The answer to samples: so many are in the log; the others never will be."""

    accepted: int
    rejected: list[BadSample]
