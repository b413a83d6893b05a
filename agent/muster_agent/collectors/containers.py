"""What the containers of this machine use, as Docker or Podman tell it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from muster_agent.collectors.base import LONGEST_LIST

SOCKETS = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))
NS_PER_S = 1e9
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Engine(Protocol):
    """What is asked of an engine."""

    def containers(self) -> object:
        """Give all containers."""

    def stats(self, container_ids: Sequence[str]) -> Mapping[str, object]:
        """Give the counters of running containers, without those that cannot be had."""


def open_engine(sockets: Iterable[Path] = SOCKETS) -> Engine | None:
    """Give the first engine whose socket this user may use; None where there is none."""
    user_socket = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "podman/podman.sock")
    for path in (*sockets, user_socket):
        if os.access(path, os.R_OK | os.W_OK) and path.is_socket():
            # Its imports cost memory that most machines can be spared.
            from muster_agent.collectors.engine import Engine as SocketEngine  # noqa: PLC0415

            return SocketEngine(path)
    return None


@dataclass(frozen=True)
class Counted:
    """The counters of a container, and when its engine read them (seconds since 1970)."""

    read_s: float
    cpu_ns: int | None
    received: int | None
    sent: int | None


class ContainerCollector:
    """`containers`: `{name, image, state, cpu_percent, mem_used, net_rx_rate, net_tx_rate}`, those that run first.

    100 percent are one core. Memory is without caches that can be given back. Empty where an engine has none.
    """

    name = "containers"

    def __init__(self, connect: Callable[[], Engine | None] = open_engine) -> None:
        self._connect = connect
        self._before: Mapping[str, Counted] = {}

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the field; the first collection has no rates."""
        del now_s  # the engine says when it has counted, which may be a second ago
        engine = self._connect()
        if engine is None:
            return {}
        chosen = _chosen(engine.containers())
        stats = engine.stats([each["Id"] for each in chosen if each.get("State") == "running"])
        before = self._before
        self._before = {container_id: _counted(_object(each)) for container_id, each in stats.items()}
        return {
            "containers": [
                {
                    "name": _name(each),
                    "image": _text(each.get("Image")),
                    "state": _text(each.get("State")),
                    "mem_used": _memory(_object(stats.get(each["Id"]))),
                    **_rates(before.get(each["Id"]), self._before.get(each["Id"])),
                }
                for each in chosen
            ]
        }


def _chosen(listed: object) -> list[dict[str, Any]]:
    """Choose as many as are shown: those that run first, each kind by name."""
    entries = listed if isinstance(listed, list) else []
    valid = [each for each in entries if isinstance(each, dict) and isinstance(each.get("Id"), str)]
    return sorted(valid, key=lambda each: (each.get("State") != "running", _name(each)))[:LONGEST_LIST]


def _counted(stats: Mapping[str, Any]) -> Counted:
    networks = [each for each in _part(stats, "networks").values() if isinstance(each, dict)]
    return Counted(
        read_s=_seconds(_text(stats.get("read"))),
        cpu_ns=_count(_part(_part(stats, "cpu_stats"), "cpu_usage").get("total_usage")),
        received=_sum(_count(each.get("rx_bytes")) for each in networks),
        sent=_sum(_count(each.get("tx_bytes")) for each in networks),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _seconds(time: str) -> float:
    """Read a time as engines write it, with any number of decimals; a time that is none gives no rates."""
    found = TIME.fullmatch(time)
    if found is None:
        return math.nan
    whole, decimals, zone = found.groups()
    try:
        return datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp() + float(f"0{decimals or ''}")
    except ValueError:
        return math.nan


def _rates(before: Counted | None, after: Counted | None) -> dict[str, object]:
    rates: dict[str, object] = {"cpu_percent": None, "net_rx_rate": None, "net_tx_rate": None}
    if before is not None and after is not None and after.read_s > before.read_s:
        elapsed_s = after.read_s - before.read_s
        rates["cpu_percent"] = _rate(before.cpu_ns, after.cpu_ns, elapsed_s * NS_PER_S / 100)
        rates["net_rx_rate"] = _rate(before.received, after.received, elapsed_s)
        rates["net_tx_rate"] = _rate(before.sent, after.sent, elapsed_s)
    return rates


def _rate(before: int | None, after: int | None, per: float) -> float | None:
    if before is None or after is None or after < before:
        return None
    return round((after - before) / per, 1)


def _memory(stats: Mapping[str, Any]) -> int | None:
    """As `docker stats` has it: https://docs.docker.com/reference/cli/docker/container/stats/."""
    memory = _part(stats, "memory_stats")
    usage, details = _count(memory.get("usage")), _part(memory, "stats")
    if usage is None:
        return None
    cache = _count(details.get("total_inactive_file")) or _count(details.get("inactive_file")) or 0
    return max(0, usage - cache)


def _name(container: Mapping[str, Any]) -> str:
    names = container.get("Names")
    first = names[0] if isinstance(names, list) and names else container.get("Id")
    return _text(first).lstrip("/")


def _part(stats: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _object(stats.get(name))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
