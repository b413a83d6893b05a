"""The oldest glibc of a build, and how it unpacks itself."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path

from stack.delivery.executable import join, oldest_glibc


def test_versions_are_compared_by_number_and_only_programs_count(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x7fELF..GLIBC_2.9\0GLIBC_2.17\0GLIBC_2.2.5\0GLIBC_PRIVATE\0")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "two").write_bytes(b"\x7fELF..GLIBC_2.28\0")
    (tmp_path / "notes").write_bytes(b"GLIBC_2.99\0")
    assert "2.28" == oldest_glibc(tmp_path)


def a_build(folder: Path, says: str) -> Path:
    """Return a build whose agent says something."""
    script = f"#!/bin/sh\necho {says}\n".encode()
    payload, target = folder / f"{says}.tar.gz", folder / says
    with tarfile.open(payload, "w:gz") as archive:
        entry = tarfile.TarInfo("muster-agent")
        entry.size, entry.mode = len(script), 0o700
        archive.addfile(entry, io.BytesIO(script))
    join(payload, target)
    return target


def said_by(build: Path, cache: Path) -> str:
    environ = {"PATH": os.environ["PATH"], "MUSTER_AGENT_CACHE": str(cache)}
    return subprocess.run(["/bin/sh", str(build)], check=True, capture_output=True, text=True, env=environ).stdout


def test_three_copies_stay_those_that_were_started_last(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    builds = [a_build(tmp_path, f"build{number}") for number in range(5)]
    unpacked: list[Path] = []
    for number, build in enumerate(builds[:4]):
        assert f"build{number}\n" == said_by(build, cache)
        (new,) = set(cache.glob("muster-agent-*")) - set(unpacked)
        unpacked.append(new)
        long_ago = time.time() - 1000 + number
        os.utime(new, (long_ago, long_ago))
    assert set(unpacked[1:4]) == set(cache.iterdir())
    said_by(builds[1], cache)
    said_by(builds[4], cache)
    left = set(cache.iterdir())
    assert 3 == len(left)
    assert {unpacked[1], unpacked[3]} < left


def test_what_a_crash_has_left_goes_after_a_day(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name, age_s in ((".unpack.old", 100_000 + 86_400), (".unpack.new", 100)):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (time.time() - age_s, time.time() - age_s))
    said_by(a_build(tmp_path, "build"), cache)
    assert [".unpack.new"] == [path.name for path in cache.iterdir() if path.name.startswith(".unpack")]
