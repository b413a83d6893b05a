"""How many packages are installed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from muster_agent.collectors.packages import packages


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_dpkgs_installed_ones_are_counted(tmp_path: Path) -> None:
    entry = "Package: {}\nStatus: {}\nDescription: is\n  all ok installed\n\n"
    states = ["install ok installed", "deinstall ok config-files", "hold ok installed"]
    text = "".join(entry.format(f"p{number}", state) for number, state in enumerate(states))
    write(tmp_path / "var/lib/dpkg/status", text)
    assert {"packages": 2} == packages(tmp_path)


def test_apks_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "lib/apk/db/installed", "P:musl\nV:1\n\nC:x\nP:busybox\nD:P:not\n\n")
    assert {"packages": 2} == packages(tmp_path)


def test_pacmans_are_counted(tmp_path: Path) -> None:
    for name in ("bash-5.2-1", "glibc-2.40-1"):
        (tmp_path / "var/lib/pacman/local" / name).mkdir(parents=True)
    write(tmp_path / "var/lib/pacman/local/ALPM_DB_VERSION", "9")
    assert {"packages": 2} == packages(tmp_path)


def test_rpms_are_counted_without_writing_beside_its_database(tmp_path: Path) -> None:
    folder = tmp_path / "var/lib/rpm"
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / "rpmdb.sqlite")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(b"x",)] * 3)
    connection.commit()
    connection.close()
    assert {"packages": 3} == packages(tmp_path)
    assert ["rpmdb.sqlite"] == [each.name for each in folder.iterdir()]


def test_a_system_without_packages_has_no_field(tmp_path: Path) -> None:
    assert {} == packages(tmp_path)
