"""Builds are described so that neither their name nor their order can be mistaken."""

from __future__ import annotations

import msgspec
import pytest

from shared.agent_builds import Build, newest, read_manifest, version_order, write_manifest


def build(version: str = "0.1.0", arch: str = "x86_64") -> Build:
    return Build(os="linux", arch=arch, version=version, size_bytes=1, sha256="ab" * 32)


def test_a_manifest_says_what_was_signed() -> None:
    signed = msgspec.json.encode(build())
    assert build() == read_manifest(write_manifest(signed, b"s" * 64))


@pytest.mark.parametrize(
    "changes",
    [{"os": "../etc"}, {"arch": ""}, {"version": "1"}, {"version": "1.0/.."}, {"sha256": "AB" * 32}, {"size_bytes": 0}],
)
def test_a_manifest_that_could_name_another_file_is_none(changes: dict[str, object]) -> None:
    signed = msgspec.json.encode(msgspec.to_builtins(build()) | changes)
    with pytest.raises(msgspec.ValidationError):
        read_manifest(write_manifest(signed, b""))


def test_the_newest_build_of_each_platform_is_found_by_number() -> None:
    builds = [build("0.9.0"), build("0.10.0"), build("0.2.0", "aarch64"), build("0.1.9")]
    assert [build("0.2.0", "aarch64"), build("0.10.0")] == newest(builds)


def test_zeros_at_the_end_of_a_version_mean_nothing() -> None:
    assert version_order("1.2.0") == version_order("1.2")
    with pytest.raises(ValueError, match="no version"):
        version_order("1.x")
