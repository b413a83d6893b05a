"""What is published can be read by whom its folder is for, and its digest is written as sha256sum reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muster_agent.update.offer import read_offer
from shared.agent_builds import ZIPAPP
from stack.delivery.publish import describe, publish

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


@pytest.mark.parametrize(("folder_mode", "modes"), [(0o700, {0o700, 0o600}), (0o755, {0o755, 0o644})])
def test_what_a_folder_keeps_from_others_stays_from_them(tmp_path: Path, folder_mode: int, modes: set[int]) -> None:
    tmp_path.chmod(folder_mode)
    (tmp_path / "made").write_bytes(b"agent")
    publish(tmp_path / "made", describe(tmp_path / "made", ZIPAPP, "0.1.0"), tmp_path, KEY)
    assert modes == {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}


def test_agents_and_sha256sum_can_check_it(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"agent")
    build = describe(tmp_path / "made", ZIPAPP, "0.1.0", python="3.9")
    publish(tmp_path / "made", build, tmp_path, KEY)
    offer = read_offer((tmp_path / f"{build.name}.manifest").read_bytes(), KEY.public_key().public_bytes_raw())
    assert ("0.1.0", 5, build.sha256) == (offer.version, offer.size_bytes, offer.sha256)
    checked = subprocess.run(
        [shutil.which("sha256sum") or "sha256sum", "-c", f"{build.name}.sha256"], cwd=tmp_path, check=False
    )
    assert 0 == checked.returncode
