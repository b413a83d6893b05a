"""The agents that an installation offers: what lies in its folder decides, never a name that somebody asks for."""

from pathlib import Path

import msgspec

from shared.agent_builds import KEY_FILE, MANIFEST_SUFFIX, Build, read_manifest

_LARGEST_MANIFEST_BYTES = 10_000


class Offered(msgspec.Struct, frozen=True):
    """A build that is there, its manifest as it travels, and its file."""

    build: Build
    manifest: bytes
    path: Path


def offered(folder: Path) -> list[Offered]:
    """Return the builds whose file is there in full, by name; a folder that does not exist offers none.

    Raises OSError where the folder cannot be read.
    """
    found = []
    for manifest in sorted(folder.glob(f"*{MANIFEST_SUFFIX}")):
        try:
            content = manifest.read_bytes()[:_LARGEST_MANIFEST_BYTES]
            build = read_manifest(content)
            path = folder / build.file_name
            if manifest.name == build.name + MANIFEST_SUFFIX and path.stat().st_size == build.size_bytes:
                found.append(Offered(build, content, path))
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            # half of one that is being made or taken away, or a file of somebody else
            continue
    return found


def public_key(folder: Path) -> str:
    """Return the key that the manifests are signed with, in base64; empty where nothing was signed yet."""
    try:
        return (folder / KEY_FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
