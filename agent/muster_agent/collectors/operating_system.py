"""Which operating system this machine runs."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterable
from pathlib import Path

OS_RELEASE_FILES = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


def operating_system(os_release_files: Iterable[Path] = OS_RELEASE_FILES) -> dict[str, object]:
    """Give `name` and `version` of the distribution, `kernel` and `arch`; os-release(5) where there is one."""
    release = next((_variables(file) for file in os_release_files if file.is_file()), {})
    return {
        "name": release.get("NAME") or platform.system(),
        "version": release.get("VERSION_ID") or release.get("BUILD_ID") or "",
        "kernel": platform.release(),
        "arch": platform.machine(),
    }


def _variables(file: Path) -> dict[str, str]:
    """Read lines `NAME=value`, quoted as a shell would have them."""
    variables: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        # A comment's name begins with "#": nobody asks for it.
        name, _, value = line.strip().partition("=")
        variables[name] = _unquoted(value)
    return variables


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        # An unbalanced quotation mark; what is there still tells more than nothing.
        return value
