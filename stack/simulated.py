"""A machine that exists only as numbers: believable facts and measurements for the demo fleet."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DAY_S = 86_400
GIB = 1024**3
MIB = 1024**2

ROLES = ("web", "db", "cache", "worker", "edge", "build", "mail", "backup")
SYSTEMS = (
    ("Debian GNU/Linux", "13", "6.12.48+deb13-amd64", "x86_64"),
    ("Ubuntu", "24.04", "6.8.0-87-generic", "x86_64"),
    ("AlmaLinux", "9.6", "5.14.0-570.el9", "x86_64"),
    ("Alpine Linux", "3.22", "6.12.51-0-virt", "aarch64"),
    ("FreeBSD", "14.3", "14.3-RELEASE", "amd64"),
)
AVERAGED_OVER_S = {"load1": 60, "load5": 300, "load15": 900}


@dataclass
class Walk:
    """A value that wanders around its middle and is pulled back to it (an Ornstein-Uhlenbeck process)."""

    middle: float
    spread: float
    relaxation_s: float
    value: float

    def step(self, elapsed_s: float, chance: random.Random) -> float:
        """Advance by a time and return the value; the spread does not depend on the length of the steps."""
        kept = math.exp(-elapsed_s / self.relaxation_s)
        noise = self.spread * math.sqrt(1 - kept * kept) * chance.gauss(0, 1)
        self.value = self.middle + (self.value - self.middle) * kept + noise
        return self.value


class SimulatedMachine:
    """The machine with this number: the same one whenever it is made, and different from all others."""

    def __init__(self, number: int, started_unix_s: float) -> None:
        chance = random.Random(number)  # noqa: S311 - numbers for show
        self.name = f"demo-{ROLES[number % len(ROLES)]}-{number // len(ROLES) + 1:02d}"
        self.machine_id = hashlib.sha256(f"muster-demo-{number}".encode()).hexdigest()[:32]
        self._system = SYSTEMS[chance.randrange(len(SYSTEMS))]
        self._cores = chance.choice((1, 2, 4, 8, 16))
        self._mem_total = self._cores * chance.choice((1, 2, 4)) * GIB
        self._disk_total = chance.choice((20, 40, 80, 160, 500)) * GIB
        self._busy_hour_s = chance.uniform(0, DAY_S)
        self._booted_unix_s = started_unix_s - chance.uniform(1, 200) * DAY_S
        self._measured_unix_s = started_unix_s
        # Chance goes on from here, so that two runs do not draw the same curve.
        self._chance = random.Random(f"{number} {started_unix_s}")  # noqa: S311 - likewise
        busy = chance.uniform(4, 55)
        self._cpu = Walk(busy, busy / 3, relaxation_s=45, value=busy)
        self._mem = Walk(chance.uniform(25, 80), 5, relaxation_s=900, value=50)
        self._net = Walk(0, 0.7, relaxation_s=60, value=0)
        self._disk_used = self._disk_total * chance.uniform(0.15, 0.85)
        self._loads = dict.fromkeys(AVERAGED_OVER_S, busy / 100 * self._cores)
        self._received = chance.uniform(1, 500) * GIB
        self._sent = chance.uniform(1, 500) * GIB

    def facts(self) -> dict[str, Any]:
        """Return `os` and `inventory` as a handshake carries them."""
        name, version, kernel, arch = self._system
        inventory = {
            "os": f"{name} {version}",
            "kernel": kernel,
            "arch": arch,
            "cpu_model": "Simulated CPU",
            "cores": self._cores,
            "threads": self._cores,
            "memory_bytes": self._mem_total,
            "disks": [{"name": "vda", "size_bytes": self._disk_total, "rotational": False}],
            "virtualization": "kvm",
        }
        return {"os": {"name": name, "version": version, "kernel": kernel, "arch": arch}, "inventory": inventory}

    def measure(self, unix_s: float) -> dict[str, Any]:
        """Return the measurements of a sample at this time, which comes after the one before."""
        elapsed_s = max(unix_s - self._measured_unix_s, 0.001)
        self._measured_unix_s = unix_s
        cpu_percent = self._measure_cpu(unix_s, elapsed_s)
        mem_percent = _between(self._mem.step(elapsed_s, self._chance), 5, 97)
        self._disk_used = min(self._disk_used + elapsed_s * self._chance.uniform(0, 2_000), 0.97 * self._disk_total)
        return {
            "ts": datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "cpu_percent": round(cpu_percent, 1),
            **{name: round(value, 2) for name, value in self._loads.items()},
            "mem_used": int(self._mem_total * mem_percent / 100),
            "mem_total": self._mem_total,
            "swap_used": int(MIB * max(0.0, mem_percent - 70)),
            "swap_total": GIB,
            "disk_used": int(self._disk_used),
            "disk_total": self._disk_total,
            "disk_read_rate": round(self._chance.expovariate(1 / (4_000 * (cpu_percent + 1)))),
            "disk_write_rate": round(self._chance.expovariate(1 / (9_000 * (cpu_percent + 1)))),
            **self._measure_network(cpu_percent, elapsed_s),
            "processes": 80 + 12 * self._cores + int(cpu_percent),
            "uptime_s": int(unix_s - self._booted_unix_s),
        }

    def _measure_cpu(self, unix_s: float, elapsed_s: float) -> float:
        """Busy by day, calm by night, around a wandering middle."""
        day = 1 + 0.5 * math.sin(2 * math.pi * (unix_s - self._busy_hour_s) / DAY_S)
        cpu_percent = _between(self._cpu.step(elapsed_s, self._chance) * day, 0.3, 100)
        for name, over_s in AVERAGED_OVER_S.items():
            kept = math.exp(-elapsed_s / over_s)
            self._loads[name] = self._loads[name] * kept + cpu_percent / 100 * self._cores * (1 - kept)
        return cpu_percent

    def _measure_network(self, cpu_percent: float, elapsed_s: float) -> dict[str, Any]:
        """Traffic follows the work; the totals are what the rates add up to."""
        received_rate = 3_000 * (cpu_percent + 1) * math.exp(self._net.step(elapsed_s, self._chance))
        sent_rate = received_rate * self._chance.uniform(0.6, 2.5)
        self._received += received_rate * elapsed_s
        self._sent += sent_rate * elapsed_s
        return {
            "net_rx_total": int(self._received),
            "net_tx_total": int(self._sent),
            "net_rx_rate": round(received_rate),
            "net_tx_rate": round(sent_rate),
            "tcp_connections": 10 + int(received_rate / 5_000),
            "udp_connections": 4 + self._chance.randrange(4),
        }


def _between(value: float, lowest: float, highest: float) -> float:
    return max(lowest, min(highest, value))
