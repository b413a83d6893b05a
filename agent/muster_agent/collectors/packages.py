"""How many packages the system's package managers have installed, counted in their databases without running them."""

from __future__ import annotations

from pathlib import Path


def packages(root: Path = Path("/")) -> dict[str, object]:
    """Give `packages`, a count over dpkg, rpm, apk and pacman; nothing where none of them is to be found.

    `root` is where the machine's files begin. Of rpm, only the database of its version 4.16 and later is read.
    """
    counts = [_dpkg(root), _rpm(root), _apk(root), _pacman(root)]
    known = [count for count in counts if count is not None]
    return {"packages": sum(known)} if known else {}


def _dpkg(root: Path) -> int | None:
    file = root / "var/lib/dpkg/status"
    if not file.is_file():
        return None
    with file.open("rb") as lines:
        # the first word is what is wanted of it: to be held, for one
        return sum(line.startswith(b"Status: ") and line.endswith(b" ok installed\n") for line in lines)


def _apk(root: Path) -> int | None:
    for name in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        if (root / name).is_file():
            with (root / name).open("rb") as lines:
                return sum(line.startswith(b"P:") for line in lines)
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
