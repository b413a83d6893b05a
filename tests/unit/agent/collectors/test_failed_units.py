"""Units that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from muster_agent.collectors.failed_units import failed_units, unit_names

JSON = '[{"unit":"nginx.service","load":"loaded","active":"failed","sub":"failed","description":"x"},{"unit":5},7]'


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        (JSON, ["nginx.service"]),
        ("[]", []),
        ("", []),
        (
            "nginx.service loaded failed failed A web server\nbackup.timer loaded failed\n",
            ["nginx.service", "backup.timer"],
        ),
    ],
)
def test_names_are_read_as_json_and_as_the_table_of_older_versions(printed: str, names: list[str]) -> None:
    assert names == unit_names(printed)


def test_that_none_has_failed_is_told(tmp_path: Path) -> None:
    assert {"failed_units": []} == failed_units(lambda _: "/bin/systemctl", lambda _: b"[]", tmp_path)


def test_a_machine_without_systemd_has_no_field(tmp_path: Path) -> None:
    def run(_: object) -> bytes:
        raise AssertionError("systemctl was asked")

    assert {} == failed_units(lambda _: None, run, tmp_path)
    assert {} == failed_units(lambda _: "/bin/systemctl", run, tmp_path / "missing")
