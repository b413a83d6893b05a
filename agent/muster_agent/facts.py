"""Puts together what a handshake tells, and notices when it has changed."""

from __future__ import annotations

from collections.abc import Mapping

from muster_agent import __version__
from muster_agent.collectors.base import CollectorGroup
from muster_agent.collectors.inventory import lasting


class Facts:
    """What this process and this machine are. `interval_s` is the user's wish, not what the server made of it."""

    def __init__(
        self, boot_id: str, interval_s: float, os_collectors: CollectorGroup, inventory_collectors: CollectorGroup
    ) -> None:
        self._process = {"boot_id": boot_id, "agent_version": __version__, "interval_s": interval_s}
        self._os_collectors = os_collectors
        self._inventory_collectors = inventory_collectors
        self._read_last: Mapping[str, object] = {}

    def read(self) -> dict[str, object]:
        """Read the machine and give a handshake's body."""
        os = self._os_collectors.collect(0.0)
        inventory = self._inventory_collectors.collect(0.0)
        self._read_last = {"os": os, "inventory": lasting(inventory)}
        return {**self._process, "os": os, "inventory": inventory}

    def have_changed(self) -> bool:
        """Read the machine; tell whether it is another one than at the last `read`."""
        os = self._os_collectors.collect(0.0)
        inventory = self._inventory_collectors.collect(0.0)
        return self._read_last != {"os": os, "inventory": lasting(inventory)}
