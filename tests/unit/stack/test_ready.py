"""The file that says where a running stack is."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from stack import ready
from stack.errors import StackError
from stack.program import Program

STARTED = ready.Ready("http://localhost:8000", "redis://:secret@127.0.0.1:1/0", "postgresql://127.0.0.1:2/muster", {})


def program(name: str, role: str, url: str | None) -> Program:
    return Program(name=name, role=role, argv=("true",), environment={}, url=url)


RUNNING = [
    (program("ingest-2", "ingest", "http://127.0.0.1:12"), 102),
    (program("ingest-1", "ingest", "http://127.0.0.1:11"), 101),
    (program("agent", "agent", None), 103),
]


def test_the_file_has_the_promised_form_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    ready.ReadyFile(path).publish(STARTED, RUNNING)
    expected = {
        "url": "http://localhost:8000",
        "redis_url": "redis://:secret@127.0.0.1:1/0",
        "database_url": "postgresql://127.0.0.1:2/muster",
        "services": {
            "agent": [{"pid": 103, "url": None}],
            "ingest": [{"pid": 101, "url": "http://127.0.0.1:11"}, {"pid": 102, "url": "http://127.0.0.1:12"}],
        },
    }
    assert expected == json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_process_id_replaces_the_old_one(tmp_path: Path) -> None:
    file = ready.ReadyFile(tmp_path / "ready.json")
    file.publish(STARTED, RUNNING)
    file.update([(RUNNING[2][0], 203)])
    found = ready.read(tmp_path / "ready.json")
    assert found is not None
    assert found.services == {"agent": [ready.Process(203, None)]}


def test_nothing_is_said_before_the_stack_is_ready_nor_after_it_was(tmp_path: Path) -> None:
    file = ready.ReadyFile(tmp_path / "ready.json")
    file.update(RUNNING)
    assert ready.read(tmp_path / "ready.json") is None
    file.publish(STARTED, RUNNING)
    file.remove()
    file.update(RUNNING)
    assert ready.read(tmp_path / "ready.json") is None


def test_a_broken_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{")
    with pytest.raises(StackError, match=r"cannot read .*ready\.json"):
        ready.read(tmp_path / "ready.json")
