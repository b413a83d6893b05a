"""Agents: the registrations of the programs that report for a server."""

import msgspec

from shared.resources.declaration import Count, Labels, Line, Resource, Time


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A registration. `last_heartbeat` is that of its last handshake or status message."""

    name: Line
    groups: Labels = ()
    healthy: bool = True
    last_heartbeat: Time
    clients_count: Count = 0
    sync_revision: Count = 0
    server_id: Line
    agent_version: Line = ""
    created_at: Time
    updated_at: Time


AGENTS = Resource(
    name="agents", singular="agent", prefix="a", model=Agent, sortable=("name", "last_heartbeat", "created_at")
)
