"""Makes samples of scrapes, in the terms in which our own agent measures. Pure.

Nothing is known but what one request holds, for the next may reach another replica: a rate needs two scrapes in one
request, or a counter that tells what was added.
"""

from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import chain, pairwise, starmap
from math import isfinite
from typing import get_args

import msgspec

from services.ingest.senders.readings import Quantity, Reading, Scrape
from shared.resources.declaration import Amount, Count
from shared.resources.metrics import Sample

_NS = 1_000_000_000
_LARGEST_AMOUNT, _LARGEST_COUNT = (get_args(declared)[1].le for declared in (Amount, Count))
_IDENTITY_BYTES = 12

_encode = msgspec.json.Encoder().encode


def measured(scraped: Iterable[Scrape]) -> Iterator[Sample | None]:
    """Yield what each scrape amounts to, None where nothing in it does; they have no identity yet."""
    return starmap(_sample, pairwise(chain(((),), scraped)))


def identified(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of a request with an identity that a repetition of them has as well.

    What is sent again is the same to the last byte, so that its digest tells it: as the start of an agent whose
    samples are counted from 1. Numbers made of the time would leave holes, and a window gives up the lowest of many
    (see decision 19).
    """
    digest = blake2b(b"".join(map(_encode, samples)), digest_size=_IDENTITY_BYTES).digest()
    boot_id = "x" + urlsafe_b64encode(digest).decode()
    return [msgspec.structs.replace(sample, boot_id=boot_id, seq=seq) for seq, sample in enumerate(samples, 1)]


def _sample(before: Scrape, now: Scrape) -> Sample | None:
    grouped: dict[Quantity, list[Reading]] = defaultdict(list)
    for reading in now:
        grouped[reading.quantity].append(reading)
    earlier = {reading.series: reading for reading in before}
    found: dict[str, float | None] = {}
    for quantity, readings in grouped.items():
        found |= _MEASURES[quantity](readings, earlier)
    measured = {name: valid for name, value in found.items() if (valid := _valid(name, value)) is not None}
    if not measured:
        return None
    return Sample(ts=_time(max(reading.at_ns for reading in now)), **measured)  # type: ignore[arg-type]  # see _valid


def _time(at_ns: int) -> datetime:
    seconds, rest_ns = divmod(at_ns, _NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)


_AMOUNTS = frozenset({"load1", "load5", "load15", "uptime_s"})


def _valid(name: str, value: float | None) -> float | int | None:
    """Return a value as a sample may have it: none that is not finite, or not within what is declared."""
    if value is None or not isfinite(value) or value < 0:
        return None
    if name == "cpu_percent":
        return round(min(value, 100.0), 2)
    if name in _AMOUNTS or name.endswith("_rate"):
        return round(value, 3) if value <= _LARGEST_AMOUNT else None
    return round(value) if value <= _LARGEST_COUNT else None


_Earlier = Mapping[str, Reading]
_Measured = Mapping[str, float | None]
_Measure = Callable[[Sequence[Reading], _Earlier], _Measured]


def _sum(readings: Iterable[Reading]) -> float | None:
    values = [reading.value for reading in readings]
    return sum(values) if values else None


def _of_kind(readings: Iterable[Reading], kind: str) -> list[Reading]:
    return [reading for reading in readings if reading.kind == kind]


def _total_as(name: str) -> _Measure:
    return lambda readings, _: {name: _sum(readings)}


def _used_and_total(readings: Sequence[Reading]) -> tuple[float | None, float | None]:
    """Return what is used of storage and how much there is, from two or more values of it."""
    used, rest, total, free = (_sum(_of_kind(readings, kind)) for kind in ("used", "rest", "total", "free"))
    if used is not None:
        # what is reserved for root is used up for everybody else, as agents count it
        used += _sum(_of_kind(readings, "reserved")) or 0.0
    if total is None and used is not None and rest is not None:
        total = used + rest
    if used is None and total is not None and free is not None:
        used = max(total - free, 0.0)
    return used, total


def _storage_as(name: str) -> _Measure:
    def measure(readings: Sequence[Reading], _: _Earlier) -> _Measured:
        used, total = _used_and_total(readings)
        return {f"{name}_used": used, f"{name}_total": total}

    return measure


def _filesystems(readings: Sequence[Reading], _: _Earlier) -> _Measured:
    """Add up file systems, each device once, however often it is mounted."""
    devices: dict[str, dict[str, Reading]] = defaultdict(dict)
    for reading in readings:
        devices[reading.part].setdefault(reading.kind, reading)
    known = [_used_and_total([*kinds.values()]) for kinds in devices.values()]
    whole = [(used, total) for used, total in known if used is not None and total is not None]
    if not whole:
        return {}
    return {"disk_used": sum(used for used, _ in whole), "disk_total": sum(total for _, total in whole)}


def _added(reading: Reading, earlier: _Earlier) -> tuple[float, float] | None:
    """Return what a counter has counted and in how many seconds; None where that is not known, or it began anew."""
    if reading.is_delta:
        span_s = (reading.at_ns - reading.since_ns) / _NS
        return (reading.value, span_s) if reading.since_ns and span_s > 0 and reading.value >= 0 else None
    before = earlier.get(reading.series)
    if before is None or before.is_delta or before.since_ns != reading.since_ns or before.value > reading.value:
        return None
    span_s = (reading.at_ns - before.at_ns) / _NS
    return (reading.value - before.value, span_s) if span_s > 0 else None


def _rate(readings: Iterable[Reading], earlier: _Earlier) -> float | None:
    added = [one for reading in readings if (one := _added(reading, earlier)) is not None]
    return sum(amount / span_s for amount, span_s in added) if added else None


def _disk_io(readings: Sequence[Reading], earlier: _Earlier) -> _Measured:
    return {f"disk_{kind}_rate": _rate(_of_kind(readings, kind), earlier) for kind in ("read", "write")}


def _network_io(readings: Sequence[Reading], earlier: _Earlier) -> _Measured:
    measured: dict[str, float | None] = {}
    for kind in ("rx", "tx"):
        own = _of_kind(readings, kind)
        measured[f"net_{kind}_rate"] = _rate(own, earlier)
        measured[f"net_{kind}_total"] = _sum(reading for reading in own if not reading.is_delta)
    return measured


def _cpu_time(readings: Sequence[Reading], earlier: _Earlier) -> _Measured:
    """Tell how busy all cores together were, from the seconds that they spent in each state."""
    spent = {"idle": 0.0, "busy": 0.0}
    for reading in readings:
        added = _added(reading, earlier)
        if added is not None:
            spent[reading.kind] += added[0]
    total = spent["idle"] + spent["busy"]
    return {"cpu_percent": 100 * spent["busy"] / total} if total > 0 else {}


def _cpu_share(readings: Sequence[Reading], _: _Earlier) -> _Measured:
    """Tell the same from shares of each core, of which those of all states make 1."""
    cores = {reading.part for reading in readings}
    busy, idle = _sum(_of_kind(readings, "busy")), _sum(_of_kind(readings, "idle"))
    if idle is not None:
        return {"cpu_percent": max(100 * (1 - idle / len(cores)), 0.0)}
    return {"cpu_percent": None if busy is None else 100 * busy / len(cores)}


def _uptime(readings: Sequence[Reading], _: _Earlier) -> _Measured:
    return {"uptime_s": readings[0].value}


def _boot_time(readings: Sequence[Reading], _: _Earlier) -> _Measured:
    return {"uptime_s": readings[0].at_ns / _NS - readings[0].value}


_MEASURES: Mapping[Quantity, _Measure] = {
    "load1": _total_as("load1"),
    "load5": _total_as("load5"),
    "load15": _total_as("load15"),
    "cpu_time": _cpu_time,
    "cpu_share": _cpu_share,
    "memory": _storage_as("mem"),
    "swap": _storage_as("swap"),
    "filesystem": _filesystems,
    "disk_io": _disk_io,
    "network_io": _network_io,
    "tcp": _total_as("tcp_connections"),
    "udp": _total_as("udp_connections"),
    "processes": _total_as("processes"),
    "uptime": _uptime,
    "boot_time": _boot_time,
}
