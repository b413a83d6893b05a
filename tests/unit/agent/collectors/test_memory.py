"""Memory."""

from __future__ import annotations

from pathlib import Path

from muster_agent.collectors.memory import memory, zfs_cache_bytes


def test_sizes_are_whole_bytes_within_their_totals() -> None:
    fields = memory()
    sizes = {name: value for name, value in fields.items() if isinstance(value, int)}
    assert fields == sizes
    assert 0 < sizes["mem_used"] < sizes["mem_total"]
    assert 0 <= sizes["swap_used"] <= sizes["swap_total"]


ARCSTATS = "13 1 0x01 147 39984 1 2\nname type data\nhits 4 7\nc_min 4 1000\nsize 4 9000\n"


def machine(root: Path, mounts: str) -> Path:
    statistics = root / "proc/spl/kstat/zfs/arcstats"
    statistics.parent.mkdir(parents=True)
    statistics.write_text(ARCSTATS)
    (root / "proc/self").mkdir()
    (root / "proc/self/mounts").write_text(mounts)
    return root


def test_what_zfs_would_give_back_is_not_used(tmp_path: Path) -> None:
    assert 8000 == zfs_cache_bytes(machine(tmp_path, "proc /proc proc rw 0 0\n"))


def test_the_cache_of_its_host_is_none_of_a_containers(tmp_path: Path) -> None:
    assert 0 == zfs_cache_bytes(machine(tmp_path, "lxcfs /proc/meminfo fuse.lxcfs rw 0 0\n"))


def test_a_machine_without_zfs_has_no_such_cache(tmp_path: Path) -> None:
    assert 0 == zfs_cache_bytes(tmp_path)
