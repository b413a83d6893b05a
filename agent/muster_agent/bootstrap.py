"""The first thing in the zipapp: unpacks the agent and its packages once for each build, then starts it from there.

Python imports no extension module from a zip. What is unpacked is checked at every start against the sizes and
checksums in the zip, so that a crash, a full disk or an error of the disk costs no more than unpacking once more. It
lies in a folder that nobody else can write to. This file stands alone, and a Python that is too old gets a sentence.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

OLDEST_PYTHON = (3, 9)
KEPT_BUILDS = 3
COMMON = "lib/common/"


class CannotUnpack(Exception):
    """There is no place for the agent's files; the message is one line for a person."""


def unpack(archive: Path, environ: dict[str, str]) -> Path:
    """Give the folder with the agent and its packages, filled if need be. Raises CannotUnpack."""
    try:
        cache = cache_folder(environ)
        with zipfile.ZipFile(archive) as opened:
            members = wanted(opened)
            folder = cache / f"muster-agent-{_digest(members):08x}"
            if not _is_whole(folder, members):
                _fill(opened, members, folder)
            require_private(folder)
        with contextlib.suppress(OSError):
            os.utime(folder)
            _forget_old(cache, folder)
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise CannotUnpack(f"cannot unpack {archive}: {error}: MUSTER_AGENT_CACHE may name another folder") from error
    return folder


def cache_folder(environ: dict[str, str]) -> Path:
    """Give the folder to unpack below. Raises CannotUnpack."""
    if environ.get("MUSTER_AGENT_CACHE"):
        return Path(environ["MUSTER_AGENT_CACHE"])
    if environ.get("MUSTER_AGENT_STATE_DIR"):
        return Path(environ["MUSTER_AGENT_STATE_DIR"]) / "cache"
    if _user() == 0:
        return Path("/var/cache/muster-agent")
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"]) / "muster-agent"
    home = environ.get("LOCALAPPDATA") if os.name == "nt" else environ.get("HOME")
    if not home:
        raise CannotUnpack("there is no HOME to unpack below: set MUSTER_AGENT_CACHE")
    return Path(home) / ("muster-agent" if os.name == "nt" else ".cache/muster-agent")


def wanted(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Give what this machine needs of the archive, by the path that it gets."""
    found = {}
    for prefix in (COMMON, f"lib/{platform_name()}/"):
        for info in archive.infolist():
            if info.filename.startswith(prefix) and ".." not in info.filename:
                found[info.filename[len(prefix) :]] = info
    return found


def platform_name() -> str:
    """Give what the archive calls this platform."""
    machine = platform.machine().lower()
    if sys.maxsize < 2**32:
        # a Python of 32 bits on a kernel of 64
        machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
    if sys.platform != "linux":
        return f"{sys.platform}-{machine}"
    libc = "linux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return f"{libc}-{machine}"


def require_private(folder: Path) -> None:
    """Raise CannotUnpack where others than this user could have written what will be run."""
    if os.name != "posix":
        return
    for each in (folder, folder.parent):
        status = each.stat()
        if status.st_uid not in {0, _user()} or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise CannotUnpack(f"others can write to {each}: MUSTER_AGENT_CACHE may name another folder")


def _is_whole(folder: Path, members: dict[str, zipfile.ZipInfo]) -> bool:
    for path, info in members.items():
        try:
            content = (folder / path).read_bytes()
        except OSError:
            return False
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            return False
    return True


def _fill(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpack.", dir=str(folder.parent)))
    try:
        for path, info in members.items():
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))
        if folder.exists():
            # damaged, for a whole one would have been taken
            shutil.rmtree(str(folder))
        scratch.rename(folder)
    except OSError:
        shutil.rmtree(str(scratch), ignore_errors=True)
        # another process may have been faster with the same
        if not _is_whole(folder, members):
            raise


def _digest(members: dict[str, zipfile.ZipInfo]) -> int:
    digest = 0
    for path, info in sorted(members.items()):
        digest = zlib.crc32(f"{path}\0{info.file_size}\0{info.CRC}\n".encode(), digest)
    return digest


def _forget_old(cache: Path, own: Path) -> None:
    others = [each for each in cache.glob("muster-agent-*") if each != own]
    others.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    for old in others[KEPT_BUILDS - 1 :]:
        shutil.rmtree(str(old), ignore_errors=True)


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else -1


def _start() -> int:
    if sys.version_info < OLDEST_PYTHON:
        sys.stderr.write("muster-agent: Python 3.9 or newer is needed\n")
        return 1
    archive = Path(__file__).resolve().parent
    try:
        folder = unpack(archive, dict(os.environ))
    except CannotUnpack as error:
        sys.stderr.write(f"muster-agent: {error}\n")
        return 1
    sys.path.insert(0, str(folder))
    os.environ["MUSTER_AGENT_FILE"] = str(archive)
    try:
        import psutil  # noqa: F401, PLC0415 - looked for before anything else needs it
    except ImportError as error:
        sys.stderr.write(
            f"muster-agent: there is no psutil for {platform_name()} in it ({error}): install that for this Python\n"
        )
        return 1
    from muster_agent.main import main  # noqa: PLC0415 - it was not there before

    return main()


if __name__ == "__main__":
    sys.exit(_start())
