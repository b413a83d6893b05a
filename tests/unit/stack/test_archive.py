"""Nothing of a backup is used unless all of it is as it was packed."""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from stack import archive
from stack.errors import StackError

Members = list[tuple[str, bytes]]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    files = {"database.dump": scratch / "a", "folder/agent-token": scratch / "b"}
    files["database.dump"].write_bytes(b"d" * 3_000_000)
    files["folder/agent-token"].write_text("secret\n")
    members = tuple(archive.member_of(name, path) for name, path in files.items())
    manifest = archive.Manifest(format=1, muster="0", made_at="now", migrations=("1",), members=members)
    archive.pack(tmp_path / "backup", manifest, files, scratch)
    return tmp_path / "backup"


def members(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]  # all are files


def repacked(path: Path, changed: Members) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in changed:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def with_manifest(**fields: object) -> Callable[[Members], Members]:
    def change(found: Members) -> Members:
        manifest = msgspec.json.decode(found[0][1]) | fields
        return [(archive.MANIFEST, msgspec.json.encode(manifest)), *found[1:]]

    return change


def test_what_was_packed_comes_out_again(packed: Path, tmp_path: Path) -> None:
    assert 0o600 == stat.S_IMODE(packed.stat().st_mode)
    manifest = archive.check(packed)
    assert ["database.dump", "folder/agent-token"] == [member.name for member in manifest.members]
    out = tmp_path / "token"
    archive.unpack(packed, {"folder/agent-token": out})
    assert ("secret\n", 0o600) == (out.read_text(), stat.S_IMODE(out.stat().st_mode))


EVIL = {"name": "folder/../../x", "size_bytes": 1, "sha256": ""}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: [*found[:2], (found[2][0], b"Secret\n")], "is damaged: folder/agent-token"),
        (lambda found: [*found[:2], (found[2][0], b"secret\n\n")], "is damaged: folder/agent-token"),
        (lambda found: found[:2], "is not whole: folder/agent-token is missing"),
        (lambda found: [*found, ("folder/more", b"")], "holds 'folder/more', which its manifest does not name"),
        (lambda found: [*found, found[2]], "or names once only"),
        (lambda found: found[1:], "is no backup: it does not begin with a manifest"),
        (lambda _: [], "is no backup"),
        (lambda found: [(found[0][0], b"{"), *found[1:]], "its manifest cannot be read"),
        (with_manifest(format=2, members=None), "has the format 2, this Muster knows 1"),
        (with_manifest(members=[EVIL]), "wants to write to 'folder/../../x'"),
        (with_manifest(members=[EVIL | {"name": "/etc/x"}]), "wants to write to '/etc/x'"),
    ],
)
def test_whatever_was_changed_is_refused(packed: Path, change: Callable[[Members], Members], complaint: str) -> None:
    repacked(packed, change(members(packed)))
    with pytest.raises(StackError, match=complaint.replace("(", r"\(")):
        archive.check(packed)


@pytest.mark.parametrize("left", [0, 1, 511, 2_000_000, 3_002_000])
def test_a_file_that_was_cut_off_is_refused(packed: Path, left: int) -> None:
    packed.write_bytes(packed.read_bytes()[:left])
    with pytest.raises(StackError, match="backup"):
        archive.check(packed)


def test_a_flipped_bit_is_noticed(packed: Path) -> None:
    content = bytearray(packed.read_bytes())
    content[1_500_000] ^= 1
    packed.write_bytes(content)
    with pytest.raises(StackError, match=r"is damaged: database\.dump"):
        archive.check(packed)


def test_no_file_and_no_tar_are_no_backup(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="there is no file"):
        archive.check(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello" * 1000)
    with pytest.raises(StackError, match="is no backup"):
        archive.check(tmp_path / "text")
