"""The log files of programs."""

from __future__ import annotations

from pathlib import Path

from stack import logs


def test_a_small_log_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("line\n")
    logs.rotate(log)
    assert log.read_text() == "line\n"


def test_a_large_log_moves_over_the_one_that_moved_before(tmp_path: Path) -> None:
    log, moved = tmp_path / "api.log", tmp_path / "api.log.1"
    moved.write_text("oldest")
    with log.open("wb") as file:
        file.truncate(logs.ROTATE_OVER_BYTES + 1)
    logs.rotate(log)
    assert not log.exists()
    assert moved.stat().st_size == logs.ROTATE_OVER_BYTES + 1


def test_the_tail_is_the_last_lines_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert logs.tail(log, 2) == ["line 9998", "line 9999"]


def test_a_log_that_does_not_exist_has_no_tail(tmp_path: Path) -> None:
    assert logs.tail(tmp_path / "none.log", 5) == []
