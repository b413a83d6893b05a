"""The processes that use most."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from muster_agent.collectors.top_processes import ProcessUse, TopProcessCollector, read_processes

MIB = 1024**2


def use(pid: int, cpu_s: float, mem_used: int = 0, started: float = 1.0) -> ProcessUse:
    return ProcessUse(pid, started, f"p{pid}", cpu_s, mem_used)


def collected(*readings: list[ProcessUse]) -> list[dict[str, object]]:
    """Give the entries of the last of these readings, which are 10 s apart."""
    remaining: Iterator[list[ProcessUse]] = iter(readings)
    collector = TopProcessCollector(lambda: next(remaining))
    entries: object = None
    for number in range(len(readings)):
        entries = collector.collect(100.0 + 10 * number)["top_processes"]
    assert isinstance(entries, list)
    return entries


def test_the_busiest_and_the_largest_are_given() -> None:
    before = [use(pid, 0.0, mem_used=pid * MIB) for pid in range(1, 21)]
    after = [use(pid, 5.0 if pid == 3 else 1.0 if pid == 2 else 0.0, mem_used=pid * MIB) for pid in range(1, 21)]
    entries = collected(before, after)
    assert [3, 2, 20, 19, 18, 17, 16] == [each["pid"] for each in entries]
    assert {"pid": 3, "name": "p3", "cpu_percent": 50.0, "mem_used": 3 * MIB} == entries[0]


def test_the_first_collection_knows_of_the_memory_only() -> None:
    assert [None] == [each["cpu_percent"] for each in collected([use(1, 500.0, mem_used=MIB)])]


def test_a_later_process_with_the_same_number_is_another_one() -> None:
    (entry,) = collected([use(7, 100.0)], [use(7, 2.0, started=9.0)])
    assert 20.0 == entry["cpu_percent"]


def test_there_are_never_more_than_ten() -> None:
    before = [use(pid, 0.0, mem_used=pid) for pid in range(1000)]
    after = [use(pid, 1000.0 - pid, mem_used=pid) for pid in range(1000)]
    assert 10 == len(collected(before, after))


def test_a_machine_that_shows_no_processes_has_no_field() -> None:
    assert {"top_processes": None} == TopProcessCollector(list).collect(0.0)


def test_the_kernels_lines_are_read_whatever_a_process_calls_itself(tmp_path: Path) -> None:
    fields = ["0"] * 50
    fields[0], fields[11], fields[12], fields[19], fields[21] = "S", "150", "50", "777", "3"
    lines = {"self": "", "12": f"12 (a) b\n(c) {' '.join(fields)}\n", "13": "13 (short) S 1", "14": "", "15": "\x00"}
    for name, line in lines.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "stat").write_text(line, encoding="ascii")
    (tmp_path / "16").mkdir()
    (read,) = read_processes(tmp_path)
    seconds, page = 200 / os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert (12, 777.0, "a) b\n(c", 3 * page) == (read.pid, read.started, read.name, read.mem_used)
    assert abs(seconds - read.cpu_s) < 1e-9


def test_without_proc_psutil_is_asked(tmp_path: Path) -> None:
    own = [each for each in read_processes(tmp_path) if each.pid == os.getpid()]
    assert [psutil.Process().name()] == [each.name for each in own]
