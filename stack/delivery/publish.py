"""Puts a build into the folder that agents are served from, so that whoever reads it meets no half of one."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.agent_builds import KEY_FILE, MANIFEST_SUFFIX, Build, write_manifest
from shared.io.agent_folder import offered
from stack.delivery.signing import public_text

_CHUNK_BYTES = 1 << 20


def describe(file: Path, platform: tuple[str, str], version: str, *, glibc: str = "", python: str = "") -> Build:
    """Return what a manifest says of a file."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Build(
        os=platform[0],
        arch=platform[1],
        version=version,
        size_bytes=size,
        sha256=digest.hexdigest(),
        glibc=glibc,
        python=python,
    )


def publish(file: Path, build: Build, folder: Path, key: Ed25519PrivateKey) -> Path:
    """Move a file, which must be on the folder's file system, into it, sign it, and return where it is now.

    The manifest is put in place last: until then nobody knows of the file. One that it replaces loses its file.
    """
    target, manifest = folder / build.file_name, folder / (build.name + MANIFEST_SUFFIX)
    before = [each.path for each in offered(folder) if each.build.name == build.name]
    # what the folder keeps from others stays from them
    for_others = stat.S_IMODE(folder.stat().st_mode) & 0o077
    file.chmod(0o700 | for_others & 0o055)
    _sync(file)
    file.replace(target)
    _write(folder / f"{build.name}.sha256", f"{build.sha256}  {build.file_name}\n".encode())
    _write(folder / KEY_FILE, public_text(key).encode() + b"\n")
    signed = msgspec.json.encode(build)
    _write(manifest, write_manifest(signed, key.sign(signed)))
    for old in before:
        if old != target:
            with suppress(FileNotFoundError):
                old.unlink()
    return target


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.chmod(0o600 | stat.S_IMODE(path.parent.stat().st_mode) & 0o044)
    _sync(unfinished)
    unfinished.replace(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
