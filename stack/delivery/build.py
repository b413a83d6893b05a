"""Makes agents and offers them: `muster agent build`, and the one that `muster up` sees to by itself."""

from __future__ import annotations

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from muster_agent import __version__
from shared.agent_builds import ZIPAPP, Build
from shared.io.agent_folder import offered
from stack.delivery import executable, zipapp
from stack.delivery.publish import describe, publish
from stack.delivery.signing import kept_key, public_text
from stack.errors import StackError
from stack.folders import make_private

Kind = Literal["zipapp", "executable"]
KINDS: tuple[Kind, ...] = ("zipapp", "executable")


def offer_zipapp(folder: Path, key_file: Path) -> Build:
    """Offer the agent for any Python as it is now, unless it is offered already; takes about a second.

    Raises `StackError`.
    """
    return _offer(folder, key_file, _zipapp)


def build_agents(folder: Path, key_file: Path, kinds: tuple[Kind, ...], say: Callable[[str], None]) -> None:
    """Make agents of these kinds, and offer them; raises `StackError`."""
    if "executable" in kinds and sys.platform != "linux":
        raise StackError("the agent that needs no Python is made on Linux only: use --only zipapp")
    for kind in kinds:
        began = time.monotonic()
        build = _offer(folder, key_file, {"zipapp": _zipapp, "executable": _executable}[kind])
        needs = f"glibc {build.glibc}" if build.glibc else f"Python {build.python}"
        size = f"{build.size_bytes / 1e6:.1f} MB, needs {needs} or newer"
        say(f"{folder / build.file_name}: {size}, made in {time.monotonic() - began:.1f} s")


def _offer(folder: Path, key_file: Path, make: Callable[[Path, Path], Build]) -> Build:
    try:
        make_private(folder)
        key = kept_key(key_file)
        # within the folder: what is made is moved into it
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build.") as scratch:
            file = Path(scratch) / "agent"
            build = make(file, Path(scratch))
            if not _is_offered(build, folder, public_text(key)):
                publish(file, build, folder, key)
    except OSError as error:
        raise StackError(f"cannot make an agent in {folder}: {error.strerror or error}") from error
    return build


def _is_offered(build: Build, folder: Path, key: str) -> bool:
    key_file = folder / "signing-key.pub"
    return (
        key_file.is_file()
        and key_file.read_text(encoding="ascii").strip() == key
        and any(each.build == build for each in offered(folder))
    )


def _zipapp(target: Path, scratch: Path) -> Build:  # noqa: ARG001  (both kinds are made alike)
    zipapp.pack(target)
    return describe(target, ZIPAPP, __version__, python=zipapp.OLDEST_PYTHON)


def _executable(target: Path, scratch: Path) -> Build:
    glibc = executable.build(target, scratch)
    machine = platform.machine().lower()
    return describe(target, ("linux", {"amd64": "x86_64"}.get(machine, machine)), __version__, glibc=glibc)
