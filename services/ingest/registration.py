"""What the records of a server and its agent become when the agent says something of itself. Pure."""

from datetime import datetime
from typing import Literal

import msgspec

from services.ingest.messages import Handshake, Status
from services.ingest.skew import skew_s
from shared.resources.agents import Agent
from shared.resources.servers import Server


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent said when it enrolled, and what it was given."""

    agent_id: str
    server_id: str
    workspace_id: str
    name: str
    hostname: str
    machine_id: str
    groups: tuple[str, ...]
    created_at: datetime
    rotation_wanted: bool = False
    """Whether a person has asked for another secret."""


def server_with_status(server: Server, status: Literal["online", "offline"], now: datetime) -> Server:
    """Return the server as its agent was heard, or has said goodbye, now; the same one when it was so already."""
    if server.status == status:
        return server
    return msgspec.structs.replace(server, status=status, last_seen=now)


def server_introduced(
    server: Server | None, registration: Registration, handshake: Handshake | None, now: datetime
) -> Server:
    """Return the server online with what its agent says of it; what people wrote stays."""
    if server is None:
        server = Server(name=registration.name, groups=registration.groups)
    facts: dict[str, object] = {"hostname": registration.hostname, "machine_id": registration.machine_id}
    if handshake is not None:
        facts |= {"os": handshake.os, "agent_version": handshake.agent_version}
    return server_with_status(msgspec.structs.replace(server, **facts), "online", now)


def agent_heard(
    agent: Agent | None,
    registration: Registration,
    now: datetime,
    *,
    handshake: Handshake | None = None,
    status: Status | None = None,
) -> Agent:
    """Return the registration's record after a message; one that was removed as stale is made again."""
    if agent is None:
        agent = Agent(
            name=registration.name,
            groups=registration.groups,
            last_heartbeat=now,
            server_id=registration.server_id,
            created_at=registration.created_at,
            updated_at=now,
        )
    said: dict[str, object] = {}
    if handshake is not None:
        said = {"agent_version": handshake.agent_version}
        if handshake.ts is not None:
            said["clock_skew_s"] = skew_s(handshake.ts, now)
    if status is not None:
        told = {name: getattr(status, name) for name in Status.__struct_fields__}
        said |= {name: value for name, value in told.items() if value is not None}
    return msgspec.structs.replace(agent, server_id=registration.server_id, last_heartbeat=now, updated_at=now, **said)


def interval_granted(asked_s: float, offline_after_s: float) -> float:
    """Return the interval that an agent is to keep: three samples may be lost before its server counts as offline."""
    return min(asked_s, max(offline_after_s / 4, 0.1))
