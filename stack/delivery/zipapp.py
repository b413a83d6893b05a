"""The agent for any machine that has a Python: one zip with its packages for every platform that they exist for.

Its packages were gathered when Muster was installed (`stack.install.agent`), so that packing takes no network. Python
imports no extension module from a zip: what is first in it, `muster_agent.bootstrap`, unpacks what a machine needs.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack.errors import StackError
from stack.layout import CHECKOUT

GATHERED = CHECKOUT / ".tools" / "agent-packages"
AGENT = CHECKOUT / "agent" / "muster_agent"
OLDEST_PYTHON = "3.9"
# what a wheel has for those who install it, and bytecode of another Python
_LEFT_OUT = frozenset({"__pycache__", "bin", "tests", "RECORD", "INSTALLER", "WHEEL", "REQUESTED", ".lock"})
_SHEBANG = b"#!/usr/bin/env python3\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(target: Path, gathered: Path = GATHERED, agent: Path = AGENT) -> None:
    """Write the zipapp; the same sources make the same bytes. Raises `StackError` when nothing was gathered."""
    if not any(gathered.glob("*/psutil")):
        raise StackError("the agent's packages are not there: run make packages")
    members = {f"lib/{name}": content for name, content in _packages(gathered)}
    for path, content in _files(agent):
        members[f"lib/common/muster_agent/{path}"] = content
    members["__main__.py"] = (agent / "bootstrap.py").read_bytes()
    with target.open("wb") as file:
        file.write(_SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(members):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                archive.writestr(info, members[name])


def _packages(gathered: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files below `common` that are the same for every platform, and the others below its name."""
    platforms = {folder.name: dict(_files(folder)) for folder in sorted(gathered.iterdir()) if folder.is_dir()}
    seen: Mapping[str, set[bytes]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for files in platforms.values():
        for path, content in files.items():
            seen[path].add(hashlib.sha256(content).digest())
            counts[path] += 1
    common = {path for path, digests in seen.items() if len(digests) == 1 and counts[path] == len(platforms)}
    for platform, files in platforms.items():
        for path, content in files.items():
            yield f"common/{path}" if path in common else f"{platform}/{path}", content


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not _LEFT_OUT & set(parts):
            yield "/".join(parts), path.read_bytes()
