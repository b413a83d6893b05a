"""How many packages the system's package managers have installed, counted in their databases without running them."""

from __future__ import annotations

from pathlib import Path

CHUNK_BYTES = 65_536


def packages(root: Path = Path("/")) -> dict[str, object]:
    """Give `packages`, a count over dpkg, rpm, apk and pacman; nothing where none of them is to be found.

    `root` is where the machine's files begin. Of rpm, only the database of its version 4.16 and later is read.
    """
    counts = [_dpkg(root), _rpm(root), _apk(root), _pacman(root)]
    known = [count for count in counts if count is not None]
    return {"packages": sum(known)} if known else {}


def _dpkg(root: Path) -> int | None:
    file = root / "var/lib/dpkg/status"
    return _occurrences(file, b"\nStatus: install ok installed\n") if file.is_file() else None


def _apk(root: Path) -> int | None:
    for name in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        if (root / name).is_file():
            # Each entry has one line with its name, which is not always the first.
            return _occurrences(root / name, b"\nP:")
    return None


def _pacman(root: Path) -> int | None:
    folder = root / "var/lib/pacman/local"
    return sum(each.is_dir() for each in folder.iterdir()) if folder.is_dir() else None


def _rpm(root: Path) -> int | None:
    for name in ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite"):
        if (root / name).is_file():
            return _rows_of_rpm(root / name)
    return None


def _rows_of_rpm(file: Path) -> int:
    # Only machines with rpm pay for it.
    import sqlite3  # noqa: PLC0415

    # Immutable: nothing is locked and no file is written beside it. What has just been installed may be missing.
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        (count,) = connection.execute("SELECT count(*) FROM Packages").fetchone()
        return int(count)
    finally:
        connection.close()


def _occurrences(file: Path, text: bytes) -> int:
    """Count a text in a file of any size, chunk by chunk. One at the very beginning counts without its line break."""
    count, kept = 0, b"\n"
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            window = kept + chunk
            count += window.count(text)
            # As much as can be the beginning of the text; all of it would be counted again.
            kept = window[-(len(text) - 1) :]
    return count
