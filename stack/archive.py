"""The file of a backup: a tar with a manifest in front, which has the checksum of everything behind it.

Nothing of a file is used before all of it has been checked.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from stack.errors import StackError

FORMAT = 1
MANIFEST = "manifest.json"
_LARGEST_MANIFEST_BYTES = 10_000_000
_CHUNK_BYTES = 1 << 20


class Member(msgspec.Struct, frozen=True):
    """A file in the archive."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says of itself; `migrations` are those that its database has."""

    format: int
    muster: str
    made_at: str
    migrations: tuple[str, ...]
    members: tuple[Member, ...]


def member_of(name: str, path: Path) -> Member:
    """Return how the manifest names a file; raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Member(name, size, digest.hexdigest())


def pack(target: Path, manifest: Manifest, files: Mapping[str, Path], scratch: Path) -> None:
    """Write an archive (mode 0600: it holds secrets) of these files, by name, and put it in place when it is complete.

    `scratch` is a folder beside the target. Raises OSError.
    """
    written = scratch / MANIFEST
    written.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    descriptor, unfinished = tempfile.mkstemp(dir=scratch)
    with os.fdopen(descriptor, "wb") as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(written, MANIFEST, recursive=False)
            for member in manifest.members:
                archive.add(files[member.name], member.name, recursive=False)
        out.flush()
        os.fsync(out.fileno())
    Path(unfinished).replace(target)


def check(path: Path) -> Manifest:
    """Read a whole archive, and return its manifest when everything is as it was packed; raises `StackError`."""
    with _opened(path) as archive:
        manifest = _manifest(archive, path)
        expected = {member.name: member for member in manifest.members}
        for info, file in _behind_manifest(archive):
            member = expected.pop(info.name, None)
            if member is None:
                raise StackError(f"{path} holds {info.name!r}, which its manifest does not name, or names once only")
            if info.size != member.size_bytes or _sha256(file) != member.sha256:
                raise StackError(f"{path} is damaged: {info.name} is not what was packed")
    if expected:
        raise StackError(f"{path} is not whole: {', '.join(sorted(expected))} is missing")
    return manifest


def unpack(path: Path, destinations: Mapping[str, Path]) -> None:
    """Write members of a checked archive to files (mode 0600) whose folders exist; raises `StackError` and OSError."""
    with _opened(path) as archive:
        for info, file in _behind_manifest(archive):
            destination = destinations.get(info.name)
            if destination is None:
                continue
            with os.fdopen(os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                while chunk := file.read(_CHUNK_BYTES):
                    out.write(chunk)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except FileNotFoundError:
        raise StackError(f"there is no file {path}") from None
    except (tarfile.TarError, EOFError) as error:
        raise StackError(f"{path} is no backup, or is damaged: {error}") from error


def _manifest(archive: tarfile.TarFile, path: Path) -> Manifest:
    info = archive.next()
    file = archive.extractfile(info) if info is not None and info.isfile() else None
    if info is None or file is None or info.name != MANIFEST or info.size > _LARGEST_MANIFEST_BYTES:
        raise StackError(f"{path} is no backup: it does not begin with a manifest")
    content = file.read()
    try:
        found = msgspec.json.decode(content, type=_Version)
        if found.format != FORMAT:
            raise StackError(f"{path} has the format {found.format}, this Muster knows {FORMAT}")
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StackError(f"{path} is damaged: its manifest cannot be read: {error}") from error
    for member in manifest.members:
        if not _is_inside(member.name):
            raise StackError(f"{path} wants to write to {member.name!r}")
    return manifest


class _Version(msgspec.Struct):
    format: int


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name


def _behind_manifest(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    for info in archive:
        if info.name == MANIFEST:
            continue
        file = archive.extractfile(info) if info.isfile() else None
        if file is None:
            raise StackError(f"{archive.name!r} holds {info.name!r}, which is no file")
        yield info, file


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
