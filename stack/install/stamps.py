"""Knows by content whether something was made from what is there now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def fingerprint(files: Iterable[Path], *more: str) -> str:
    """Return a digest of the files' paths and contents, and of more words."""
    digest = hashlib.sha256()
    for word in more:
        digest.update(word.encode() + b"\0")
    for file in sorted(files):
        digest.update(str(file).encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(stamp: Path, expected: str) -> bool:
    """Tell whether the stamp says that what lies beside it was made from this."""
    try:
        return stamp.read_text(encoding="ascii") == expected
    except OSError:
        return False
