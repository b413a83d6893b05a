"""What a folder offers is what is whole in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.agent_builds import ZIPAPP, Build
from shared.io.agent_folder import offered, public_key
from stack.delivery.publish import describe, publish

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def published(folder: Path, content: bytes, version: str = "0.1.0") -> Build:
    file = folder / "made"
    file.write_bytes(content)
    build = describe(file, ZIPAPP, version, python="3.9")
    publish(file, build, folder, KEY)
    return build


def test_a_folder_that_is_not_there_offers_nothing(tmp_path: Path) -> None:
    assert ([], "") == (offered(tmp_path / "none"), public_key(tmp_path / "none"))


def test_what_is_published_is_offered(tmp_path: Path) -> None:
    builds = [published(tmp_path, b"1"), published(tmp_path, b"2", "0.2.0")]
    found = offered(tmp_path)
    assert builds == [each.build for each in found]
    assert [b"1", b"2"] == [each.path.read_bytes() for each in found]


def test_a_build_that_is_made_anew_replaces_the_one_before(tmp_path: Path) -> None:
    published(tmp_path, b"old")
    new = published(tmp_path, b"new")
    assert [new] == [each.build for each in offered(tmp_path)]
    assert 1 == len(list(tmp_path.glob("*python3-*")))


@pytest.mark.parametrize("damage", ["cut", "gone", "renamed", "other"])
def test_what_is_not_whole_is_not_offered(tmp_path: Path, damage: str) -> None:
    build = published(tmp_path, b"agent")
    file, manifest = tmp_path / build.file_name, tmp_path / f"{build.name}.manifest"
    if damage == "cut":
        file.write_bytes(b"age")
    elif damage == "gone":
        file.unlink()
    elif damage == "renamed":
        manifest.rename(tmp_path / "muster-agent-9.9.9-any-python3.manifest")
    else:
        manifest.write_bytes(b"\xff{")
    assert [] == offered(tmp_path)
