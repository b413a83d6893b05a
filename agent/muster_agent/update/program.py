"""Knows how this agent was started, and starts a build in its place."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ZIPAPP = ("any", "python3")
# Set for a build of the state directory by the installed one that made room for it.
INSTALLED = "MUSTER_AGENT_INSTALLED"


@dataclass(frozen=True)
class Program:
    """The build that runs: its file, and for which platform it is (`os`, `arch`)."""

    file: Path
    platform: tuple[str, str]

    def command(self, file: Path, arguments: Sequence[str]) -> list[str]:
        """Give the command line that runs another build of this platform."""
        own = [sys.executable, str(file)] if self.platform == ZIPAPP else [str(file)]
        return [*own, *arguments]


def running_program(environ: Mapping[str, str]) -> Program | None:
    """Give the build that runs; None for an agent that was installed as a package, which pip brings up to date."""
    file = environ.get("MUSTER_AGENT_FILE", "")
    if not file:
        return None
    if not getattr(sys, "frozen", False):
        return Program(Path(file), ZIPAPP)
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return Program(Path(file), (sys.platform, machine))


def become(command: Sequence[str], **more: str) -> NoReturn:
    """Put another program into the place of this process. Raises OSError."""
    os.execve(command[0], list(command), clean_environment(os.environ, **more))  # noqa: S606 - it is what this is for


def clean_environment(environ: Mapping[str, str], **more: str) -> dict[str, str]:
    """Give the environment for another program: without what says of the own build where its files are."""
    own = ("MUSTER_AGENT_FILE", "_PYI_", "_MEIPASS")
    kept = {name: value for name, value in environ.items() if not name.startswith(own)}
    if getattr(sys, "frozen", False):
        # PyInstaller points it at the libraries that it brings, and keeps what was there before
        kept.pop("LD_LIBRARY_PATH", None)
        before = kept.pop("LD_LIBRARY_PATH_ORIG", None)
        kept.update({} if before is None else {"LD_LIBRARY_PATH": before})
    return {**kept, **more}
