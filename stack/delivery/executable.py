"""The agent for Linux that needs no Python: what PyInstaller makes, behind a script that unpacks it.

A folder, not PyInstaller's own single file: that one unpacks at every start into a temporary folder, which may forbid
execution, and stands as a second process in front of the agent, so that it could not replace itself.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from stack.errors import StackError
from stack.layout import CHECKOUT

BUILT_WITHIN_S = 600.0
_STUB = Path(__file__).with_name("unpack.sh")
_ENTRY = "import sys\n\nfrom muster_agent.main import main\n\nsys.exit(main())\n"
# what the libraries import where it is installed, and the agent never uses
_NOT_USED = ("anyio", "click", "h2", "pygments", "rich", "socksio", "sniffio", "tkinter", "trio", "uvloop", "zstandard")
# Python's own libraries load these for archives that the agent has none of, and do without where they are missing.
_COMPRESSIONS = ("bz2", "lzma", "_bz2", "_lzma")
_LEFT_OUT = (*_NOT_USED, *_COMPRESSIONS)
_GLIBC = re.compile(rb"GLIBC_(\d{1,3}\.\d{1,3})(?:\.\d+)?\0")
_ELF = b"\x7fELF"


def build(target: Path, scratch: Path) -> str:
    """Write the executable, and return the oldest glibc that it runs with. Takes about 15 s; raises `StackError`."""
    folder = _freeze(scratch)
    needed = oldest_glibc(folder)
    payload = scratch / "payload.tar.gz"
    _pack(folder, payload)
    join(payload, target)
    return needed


def join(payload: Path, target: Path) -> None:
    """Write what unpacks a payload (a `.tar.gz` with `muster-agent` in it), with the payload behind it."""
    digest = hashlib.sha256(payload.read_bytes()).hexdigest()
    stub = _STUB.read_text(encoding="ascii").replace("@BUILD@", digest[:16])
    stub = stub.replace("@LINES@", str(stub.count("\n") + 1))
    with target.open("wb") as out, payload.open("rb") as content:
        out.write(stub.encode())
        shutil.copyfileobj(content, out)


def oldest_glibc(folder: Path) -> str:
    """Return the newest version of glibc that a program or library in the folder asks for, such as 2.34."""
    asked = {(0, 0)}
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if content.startswith(_ELF):
            asked |= {_numbers(found) for found in _GLIBC.findall(content)}
    major, minor = max(asked)
    return f"{major}.{minor}"


def _numbers(version: bytes) -> tuple[int, int]:
    major, minor = version.split(b".")
    return int(major), int(minor)


def _freeze(scratch: Path) -> Path:
    entry = scratch / "entry.py"
    entry.write_text(_ENTRY, encoding="ascii")
    command = [sys.executable, "-P", "-m", "PyInstaller", "--noconfirm", "--onedir", "--name", "muster-agent"]
    command += ["--optimize", "2"]  # without docstrings, which would be a megabyte of its memory
    command += ["--log-level", "ERROR", "--paths", str(CHECKOUT / "agent"), "--distpath", str(scratch / "dist")]
    command += ["--workpath", str(scratch / "work"), "--specpath", str(scratch)]
    command += ["--strip"] if shutil.which("strip") else []
    command += [word for name in _LEFT_OUT for word in ("--exclude-module", name)]
    try:
        done = subprocess.run(
            [*command, str(entry)], check=False, capture_output=True, text=True, timeout=BUILT_WITHIN_S, cwd=scratch
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"PyInstaller has not made the agent within {BUILT_WITHIN_S:g} s") from None
    if done.returncode != 0:
        raise StackError(f"PyInstaller cannot make the agent: {done.stderr.strip()[-1000:]}")
    return scratch / "dist" / "muster-agent"


def _pack(folder: Path, target: Path) -> None:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = info.mtime = 0
        info.uname = info.gname = ""
        return info

    with (
        target.open("wb") as out,
        gzip.GzipFile("", "wb", fileobj=out, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=plain)
