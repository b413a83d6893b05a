"""Agents: the registrations of the programs that report for a server."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.resources.declaration import Count, Labels, Line, Resource, Time, refers_to


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """A registration.

    `last_heartbeat` is that of its last handshake, status message or return, not of every sample.
    """

    name: Line
    groups: Labels = ()
    healthy: bool = True
    last_heartbeat: Time
    clients_count: Count = 0
    sync_revision: Count = 0
    server_id: Annotated[Line, refers_to("servers")]
    agent_version: Line = ""
    created_at: Time
    updated_at: Time
    clock_skew_s: Annotated[
        float | None, Meta(description="How many seconds the agent's clock is ahead of the server's, as last measured")
    ] = None


AGENTS = Resource(
    name="agents", singular="agent", prefix="a", model=Agent, sortable=("name", "last_heartbeat", "created_at")
)
