"""How a machine is told from all others."""

from __future__ import annotations

from pathlib import Path

from muster_agent.machine_id import machine_id

OWN_ID = "0123456789abcdef0123456789abcdef"


def made_up() -> str:
    return "made-up"


def test_the_systems_id_leaves_the_machine_only_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text(OWN_ID + "\n", encoding="ascii")
    sent = machine_id(made_up, [file])
    assert "a16c987e7081581bc77667e2975a6fe2" == sent
    assert OWN_ID != sent


def test_the_first_file_that_has_an_id_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    second.write_text(OWN_ID, encoding="ascii")
    expected = machine_id(made_up, [second])
    assert expected == machine_id(made_up, [first, second])
    first.write_text("uninitialized\n", encoding="ascii")
    assert expected == machine_id(made_up, [first, second])
    first.write_bytes(b"\xff")
    assert expected == machine_id(made_up, [first, second])


def test_a_machine_without_an_id_gets_one(tmp_path: Path) -> None:
    assert "made-up" == machine_id(made_up, [tmp_path / "missing"])
