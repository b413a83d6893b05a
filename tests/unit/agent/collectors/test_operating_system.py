"""The operating system's name."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from muster_agent.collectors.operating_system import operating_system


def from_release(tmp_path: Path, text: str) -> tuple[object, object]:
    file = tmp_path / "os-release"
    file.write_text(text, encoding="utf-8")
    fields = operating_system([tmp_path / "missing", file])
    return fields["name"], fields["version"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n', ("Debian GNU/Linux", "12")),
        ("# a comment\n\nNAME=Fedora\n#VERSION_ID=40\n", ("Fedora", "")),
        ("NAME='Arch Linux'\nBUILD_ID=rolling\n", ("Arch Linux", "rolling")),
        ('NAME="Ada\'s \\"Linux\\""\n', ('Ada\'s "Linux"', "")),
        ('NAME="unbalanced\n', ('"unbalanced', "")),
    ],
)
def test_a_distribution_is_named_as_it_names_itself(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    assert expected == from_release(tmp_path, text)


def test_a_system_without_os_release_is_named_by_its_kernel(tmp_path: Path) -> None:
    expected = {
        "name": platform.system(),
        "version": "",
        "kernel": platform.release(),
        "arch": platform.machine(),
    }
    assert expected == operating_system([tmp_path / "missing"])
