"""Requests of Prometheus's remote write, as Prometheus sends what node_exporter measures."""

import struct
from collections.abc import Iterable, Mapping

import cramjam

AT_MS = 1_767_323_045_000
"""2026-01-02T03:04:05Z, when the clock of tests stands still."""

Series = tuple[Mapping[str, str], Iterable[tuple[int, float]]]


def write_request(series: Iterable[Series]) -> bytes:
    """Return a prometheus.WriteRequest, byte for byte as prompb/remote.proto and types.proto have it."""
    return b"".join(_message(1, _time_series(labels, samples)) for labels, samples in series)


def node_series(at_ms: Iterable[int] = (AT_MS,), instance: str = "web-1:9100") -> list[Series]:
    """Return the series of a scrape at each of these times: counters grow by ten a second, from nothing."""
    times = [*at_ms]
    steady: list[tuple[str, Mapping[str, str], float]] = [
        ("node_load1", {}, 0.5),
        ("node_load5", {}, 0.75),
        ("node_load15", {}, 1.25),
        ("node_memory_MemTotal_bytes", {}, 1000),
        ("node_memory_MemAvailable_bytes", {}, 400),
        ("node_memory_SwapTotal_bytes", {}, 50),
        ("node_memory_SwapFree_bytes", {}, 40),
        ("node_netstat_Tcp_CurrEstab", {}, 9),
        ("node_sockstat_UDP_inuse", {}, 4),
        ("node_sockstat_UDP6_inuse", {}, 3),
        ("node_boot_time_seconds", {}, AT_MS / 1000 - 12345),
        ("node_procs_running", {}, 3),
        ("go_goroutines", {}, 8),
    ]
    for device, mountpoint, fstype in (
        ("/dev/vda1", "/", "ext4"),
        ("/dev/vda1", "/srv", "ext4"),
        ("tmpfs", "/run", "tmpfs"),
    ):
        labels = {"device": device, "mountpoint": mountpoint, "fstype": fstype}
        steady += [("node_filesystem_size_bytes", labels, 100), ("node_filesystem_avail_bytes", labels, 30)]
    growing: list[tuple[str, Mapping[str, str], float]] = [
        ("node_cpu_seconds_total", {"cpu": "0", "mode": "idle"}, 0.5),
        ("node_cpu_seconds_total", {"cpu": "0", "mode": "iowait"}, 0.1),
        ("node_cpu_seconds_total", {"cpu": "0", "mode": "user"}, 0.4),
        ("node_disk_read_bytes_total", {"device": "sda"}, 10),
        ("node_disk_written_bytes_total", {"device": "sda"}, 20),
        ("node_disk_read_bytes_total", {"device": "dm-0"}, 10),
        *[
            (f"node_network_{way}_bytes_total", {"device": device}, rate)
            for way, rate in (("receive", 10), ("transmit", 5))
            for device in ("eth0", "lo")
        ],
    ]
    common = {"instance": instance, "job": "node"}
    found: list[Series] = [
        ({"__name__": name, **common, **labels}, [(at, value) for at in times]) for name, labels, value in steady
    ]
    found += [
        ({"__name__": name, **common, **labels}, [(at, per_s * (at - AT_MS + 100_000) / 1000) for at in times])
        for name, labels, per_s in growing
    ]
    return found


def snappy(data: bytes) -> bytes:
    """Return a block of Snappy."""
    return bytes(cramjam.snappy.compress_raw(data))


def varint(number: int) -> bytes:
    """Return a number as protobuf and Snappy write it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def _time_series(labels: Mapping[str, str], samples: Iterable[tuple[int, float]]) -> bytes:
    pairs = [_message(1, _message(1, name.encode()) + _message(2, value.encode())) for name, value in labels.items()]
    values = [_message(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at % 2**64)) for at, value in samples]
    return b"".join(pairs + values)
