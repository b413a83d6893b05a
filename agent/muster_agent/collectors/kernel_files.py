"""Reads the small files in which a kernel tells about the machine."""

from __future__ import annotations

from pathlib import Path


def text_of(file: Path) -> str:
    """Give the text without the white space around it; nothing where there is no such file, or it is not for us."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
