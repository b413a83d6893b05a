"""What is said of an agent that machines can get, and in which order versions are. Pure.

The manifest of a build is JSON; it travels as text inside of a `SignedBuild`, so that the bytes that were signed are
the bytes that are checked.
"""

import base64
import re
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

ZIPAPP = ("any", "python3")
"""The platform of the build that a Python runs: its `os` and `arch`."""

MANIFEST_SUFFIX = ".manifest"
KEY_FILE = "signing-key.pub"

_Word = Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}$(?!\n)")]
Version = Annotated[str, Meta(pattern=r"^\d{1,6}(\.\d{1,6}){1,3}$(?!\n)")]
_Needed = Annotated[str, Meta(pattern=r"^(\d{1,3}\.\d{1,3})?$(?!\n)")]
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){1,3}")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is an agent; `glibc` or `python` is the oldest one that it runs with, where it needs one."""

    os: _Word
    arch: _Word
    version: Version
    size_bytes: Annotated[int, Meta(ge=1)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    glibc: _Needed = ""
    python: _Needed = ""

    @property
    def name(self) -> str:
        """What the build is called; a build of the same version that is made anew has the same name."""
        return f"muster-agent-{self.version}-{self.os}-{self.arch}"

    @property
    def file_name(self) -> str:
        """The name of its file, which no other content has: a manifest never speaks of another's file."""
        return f"{self.name}-{self.sha256[:12]}"


class SignedBuild(msgspec.Struct, frozen=True):
    """A manifest as agents get it: the JSON of a `Build`, and the Ed25519 signature of that text in base64."""

    signed: str
    signature: str


def read_manifest(content: bytes) -> Build:
    """Read what a manifest says, without looking at its signature; raises msgspec.MsgspecError."""
    return msgspec.json.decode(msgspec.json.decode(content, type=SignedBuild).signed, type=Build)


def write_manifest(signed: bytes, signature: bytes) -> bytes:
    """Return the manifest as it travels."""
    return msgspec.json.encode(SignedBuild(signed.decode(), base64.b64encode(signature).decode()))


def version_order(version: str) -> tuple[int, ...]:
    """Return what versions are compared by; raises ValueError for what is no version such as 1.2.0."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version such as 1.2.0")
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def newest(builds: Iterable[Build]) -> list[Build]:
    """Return the newest build of each platform, ordered by platform."""
    found: dict[tuple[str, str], Build] = {}
    for build in sorted(builds, key=lambda build: version_order(build.version)):
        found[build.os, build.arch] = build
    return [found[platform] for platform in sorted(found)]
