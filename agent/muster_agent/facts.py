"""Puts together what a handshake tells, and notices when it has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from muster_agent import __version__
from muster_agent.collectors.base import CollectorGroup, fitted
from muster_agent.collectors.inventory import lasting

# A machine that is odd in every way can name its parts at length; the rest of a handshake is small.
LARGEST_INVENTORY_BYTES = 65_536


class Facts:
    """What this process and this machine are. `interval_s` is the user's wish, not what the server made of it."""

    def __init__(
        self,
        boot_id: str,
        interval_s: float,
        os_collectors: CollectorGroup,
        inventory_collectors: CollectorGroup,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process = {"boot_id": boot_id, "agent_version": __version__, "interval_s": interval_s}
        self._os_collectors = os_collectors
        self._inventory_collectors = inventory_collectors
        self._monotonic = monotonic
        self._read_last: Mapping[str, object] = {}

    def read(self) -> dict[str, object]:
        """Read the machine and give a handshake's body."""
        os, inventory = self._collect()
        self._read_last = {"os": os, "inventory": lasting(inventory)}
        return {**self._process, "os": os, "inventory": inventory}

    def have_changed(self) -> bool:
        """Read the machine; tell whether it is another one than at the last `read`."""
        os, inventory = self._collect()
        return self._read_last != {"os": os, "inventory": lasting(inventory)}

    def _collect(self) -> tuple[dict[str, object], dict[str, object]]:
        now_s = self._monotonic()
        os, inventory = self._os_collectors.collect(now_s), self._inventory_collectors.collect(now_s)
        return os, fitted(inventory, LARGEST_INVENTORY_BYTES)
