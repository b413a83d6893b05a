"""Saying and hearing whose logins, API tokens or memberships have changed, or which credentials of agents and relays.

An announcement that is lost costs time only: every process also looks the logins up again after `LOGIN_MEMORY_S`, and
ingest the credentials behind its streams.
"""

from redis.asyncio import Redis

from shared.io.announcements import Announcements, Heard
from shared.names import AGENT_CHANGES, IDENTITY_CHANGES


class IdentityChanges(Announcements):
    """Announces the ids of users."""

    def __init__(self, redis: Redis, heard: Heard) -> None:
        super().__init__(redis, IDENTITY_CHANGES, heard)


class AgentChanges(Announcements):
    """Announces the ids of agents and of relays."""

    def __init__(self, redis: Redis, heard: Heard) -> None:
        super().__init__(redis, AGENT_CHANGES, heard)
