"""The oldest glibc of a build is the newest that any part of it asks for."""

from __future__ import annotations

from pathlib import Path

from stack.delivery.executable import oldest_glibc


def test_versions_are_compared_by_number_and_only_programs_count(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"\x7fELF..GLIBC_2.9\0GLIBC_2.17\0GLIBC_2.2.5\0GLIBC_PRIVATE\0")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "two").write_bytes(b"\x7fELF..GLIBC_2.28\0")
    (tmp_path / "notes").write_bytes(b"GLIBC_2.99\0")
    assert "2.28" == oldest_glibc(tmp_path)
