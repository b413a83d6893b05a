"""Names that several processes must spell alike: topics, Redis keys and channels, partitions."""

import re
import secrets
from functools import lru_cache
from typing import Self
from zlib import crc32

import msgspec

from shared.errors import Malformed

PARTITIONS = 8
"""How many partitions a cluster has; fixed when it is created."""

INGEST_PRESENCE = "muster:{ingest}:presence"
"""Sorted set of ingest replicas, scored with the Redis time (ms) at which each last said that it lives."""

INGEST_ABSENT_AFTER_MS = 5_000
"""Ingest counts as away when no replica has said for so long that it lives; each does so every second."""

INGEST_RETURNED = "muster:{ingest}:returned"
"""Redis time (ms) since which ingest has been there without a break."""

INGEST_HEARD = "muster:{ingest}:heard"
"""Redis time (ms) at which ingest last took in a message of any agent."""

INGEST_LEFT = "muster:{ingest}:left"
"""Redis time (ms) at which the last replica of ingest took leave."""

SWEEPS = "muster:sweeps"
"""Hash of the sweepers' memory, in Redis time (ms): `at`, when the last sweep was; `since`, when the current run of
sweeps without a break began."""


IDENTITY_CHANGES = "muster:identity:changes"
"""Channel on which the api says, after the commit, whose logins, API tokens or memberships have changed: a JSON array
of the ids of users."""

AGENT_CHANGES = "muster:agents:changes"
"""Channel on which is said, after the commit, whose credentials were revoked, replaced or are wished to be: a JSON
array of the ids of agents, and of relays."""

AGENT_CLAIMS = "muster:agents:claims"
"""Channel on which a replica of ingest says which stream of an agent is the newest: a JSON array of
`<agent>:<generation>`."""


def throttle_key(kind: str, digest: str) -> str:
    """Return the key that counts the attempts of one kind by whom `digest` stands for."""
    return f"muster:throttle:{kind}:{digest}"


_LONGEST_ID = 64
_ID = re.compile(r"[A-Za-z0-9_-]+")
_RESOURCE = re.compile(r"[a-z][a-z_]{0,39}")


def is_id(text: str) -> bool:
    """Whether `text` can be the id of a record: 1 to 64 letters, digits, `_` and `-`."""
    return len(text) <= _LONGEST_ID and _has_form_of_id(text)


@lru_cache(maxsize=10_000)
def _has_form_of_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def new_id(prefix: str) -> str:
    """Return a fresh, unguessable id such as `s_9fK2…`, with 96 random bits."""
    return f"{prefix}_{secrets.token_urlsafe(12)}"


@lru_cache(maxsize=10_000)
def partition_of(workspace_id: str, partitions: int = PARTITIONS) -> int:
    """Return the partition in which everything of this workspace lives."""
    return crc32(workspace_id.encode()) % partitions


def deadline_of(workspace_id: str, server_id: str) -> str:
    """Return the member of the deadlines under which a server's agent is expected to be heard again."""
    return f"{workspace_id}:{server_id}"


def held_deadline_of(workspace_id: str, server_id: str) -> str:
    """Return the member that stands for a server held back as `unknown`: when it is over, the server is offline.

    The agent's own deadline is not set meanwhile, so that ingest notices its return.
    """
    return f"{workspace_id}:{server_id}:held"


class Topic(msgspec.Struct, frozen=True, order=True):
    """One resource of one workspace: the unit of versioning and of subscription."""

    workspace_id: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str(topic)` gave; raises Malformed."""
        workspace_id, _, resource = text.partition(":")
        if not (is_id(workspace_id) and _RESOURCE.fullmatch(resource)):
            raise Malformed(f"{text!r} is no topic of the form <workspace>:<resource>")
        return cls(workspace_id, resource)

    def __str__(self) -> str:
        return f"{self.workspace_id}:{self.resource}"


class PartitionKeys:
    """The Redis keys of one partition, all under one cluster hash tag."""

    def __init__(self, partition: int) -> None:
        self.prefix = f"muster:{{{partition}}}:"
        self.log = self.prefix + "log"
        """Stream of change sets; the stream id is the position."""
        self.epoch = self.prefix + "epoch"
        """The open epoch; missing while the log is sealed."""
        self.guardian = self.prefix + "guardian"
        """The fence of the last guardian that sealed the log."""
        self.versions = self.prefix + "versions"
        """Hash: topic → its version."""
        self.began = self.prefix + "began"
        """Hash: topic → the version with which the open epoch began, for those that were not empty."""
        self.deadlines = self.prefix + "deadlines"
        """Sorted set: `deadline_of` or `held_deadline_of` a server → Redis time (ms) after which it is offline."""
        self.samples = self.prefix + "samples"
        """Hash: `<topic>:<record>` → the numbers of the samples taken in, by start, the one with the latest first:
        `<boot_id> <first>-<last>,…;…`, with `!` before the start that shook hands last."""
        self.applied = self.prefix + "applied"
        """Channel on which the applier announces the position that it has committed."""

    def state(self, topic: Topic | str) -> str:
        """Hash of a topic: record id → `<version> <data>`."""
        return f"{self.prefix}state:{topic}"

    def holder(self, agent_id: str) -> str:
        """Return the key that says which replica of ingest holds an agent's stream: `<generation> <replica>`."""
        return f"{self.prefix}holder:{agent_id}"

    def returning(self, server_id: str) -> str:
        """Return the key that is set while an offline server has been heard once, and counts as offline still."""
        return f"{self.prefix}returning:{server_id}"

    def unique(self, topic: Topic | str, field: str) -> str:
        """Hash of a unique field of a topic: value → record id (and, with `:of`, record id → value)."""
        return f"{self.prefix}unique:{topic}:{field}"

    def operation(self, operation_id: str) -> str:
        """Return the key under which the first result of an operation is remembered."""
        return f"{self.prefix}op:{operation_id}"

    def request(self, operation_id: str) -> str:
        """Return the key under which the digest of the request that an operation was made for is remembered."""
        return f"{self.prefix}request:{operation_id}"
