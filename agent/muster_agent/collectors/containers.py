"""What the containers of this machine use, as Docker or Podman tell it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.rates import CounterRates

SOCKETS = (Path("/var/run/docker.sock"), Path("/run/podman/podman.sock"))
NS_PER_S = 1e9


class Engine(Protocol):
    """What is asked of an engine."""

    def containers(self) -> object:
        """Give all containers."""

    def stats(self, container_id: str) -> object:
        """Give the counters of a running container."""

    def close(self) -> None:
        """Close the connection."""


def open_engine(sockets: Iterable[Path] = SOCKETS) -> Engine | None:
    """Give the first engine whose socket this user may use; None where there is none."""
    user_socket = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "podman/podman.sock")
    for path in (*sockets, user_socket):
        if os.access(path, os.R_OK | os.W_OK) and path.is_socket():
            # Its imports cost memory that most machines can be spared.
            from muster_agent.collectors.engine import Engine as SocketEngine  # noqa: PLC0415

            return SocketEngine(path)
    return None


class ContainerCollector:
    """`containers`: `{name, image, state, cpu_percent, mem_used, net_rx_rate, net_tx_rate}`, those that run first.

    100 percent are one core. Memory is without caches that can be given back. Empty where an engine has none.
    """

    name = "containers"

    def __init__(self, connect: Callable[[], Engine | None] = open_engine) -> None:
        self._connect = connect
        self._cpu_ns = CounterRates()
        self._received = CounterRates()
        self._sent = CounterRates()

    def collect(self, now_s: float) -> dict[str, object]:
        """Give the field; the first collection has no rates."""
        engine = self._connect()
        if engine is None:
            return {}
        with contextlib.closing(engine):
            chosen = _chosen(engine.containers())
            stats = {each["Id"]: _stats(engine, each) for each in chosen}
        cpu_ns = self._cpu_ns.update(_counters(stats, _cpu_ns), now_s)
        received = self._received.update(_counters(stats, lambda each: _traffic(each, "rx_bytes")), now_s)
        sent = self._sent.update(_counters(stats, lambda each: _traffic(each, "tx_bytes")), now_s)
        return {
            "containers": [
                {
                    "name": _name(each),
                    "image": _text(each.get("Image")),
                    "state": _text(each.get("State")),
                    "cpu_percent": _rounded(cpu_ns.get(each["Id"]), 100 / NS_PER_S),
                    "mem_used": _memory(stats[each["Id"]]),
                    "net_rx_rate": _rounded(received.get(each["Id"]), 1.0),
                    "net_tx_rate": _rounded(sent.get(each["Id"]), 1.0),
                }
                for each in chosen
            ]
        }


def _chosen(listed: object) -> list[dict[str, Any]]:
    """Choose as many as are shown: those that run first, each kind by name."""
    entries = listed if isinstance(listed, list) else []
    valid = [each for each in entries if isinstance(each, dict) and isinstance(each.get("Id"), str)]
    return sorted(valid, key=lambda each: (each.get("State") != "running", _name(each)))[:LONGEST_LIST]


def _stats(engine: Engine, container: Mapping[str, Any]) -> Mapping[str, Any]:
    if container.get("State") != "running":
        return {}
    try:
        stats = engine.stats(container["Id"])
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 - it has ended meanwhile, or this one's counters cannot be had
        return {}
    return stats if isinstance(stats, dict) else {}


def _counters(
    stats: Mapping[str, Mapping[str, Any]], counter: Callable[[Mapping[str, Any]], int | None]
) -> dict[str, int]:
    counted = ((container_id, counter(each)) for container_id, each in stats.items())
    return {container_id: count for container_id, count in counted if count is not None}


def _cpu_ns(stats: Mapping[str, Any]) -> int | None:
    return _count(_part(_part(stats, "cpu_stats"), "cpu_usage").get("total_usage"))


def _traffic(stats: Mapping[str, Any], direction: str) -> int | None:
    networks = _part(stats, "networks").values()
    counts = [_count(each.get(direction)) for each in networks if isinstance(each, dict)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


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
    part = stats.get(name)
    return part if isinstance(part, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _rounded(rate: float | None, factor: float) -> float | None:
    return None if rate is None else round(rate * factor, 1)
