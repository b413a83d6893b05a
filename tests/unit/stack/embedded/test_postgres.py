"""What is decided about PostgreSQL before it runs."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from stack.embedded import postgres
from stack.program import Account


def test_an_ordinary_user_runs_it_themselves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.choose_account(tmp_path) is None


def test_root_runs_it_as_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    nobody = pwd.getpwnam("nobody")
    assert postgres.choose_account(tmp_path / "none") == Account(nobody.pw_uid, nobody.pw_gid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_root_runs_it_as_the_owner_that_the_cluster_has(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4322)
    assert postgres.choose_account(tmp_path) == Account(4321, 4322)


def test_the_services_connect_as_a_role_of_their_own() -> None:
    assert postgres.url(7000, "pa55") == "postgresql://muster:pa55@127.0.0.1:7000/muster"


def test_extra_settings_win(tmp_path: Path) -> None:
    program = postgres.server(tmp_path, 7000, tmp_path / "log", {"fsync": "off", "max_connections": "5"})
    assert {"fsync=off", "max_connections=5", "port=7000", "listen_addresses=127.0.0.1"} < set(program.argv)
    assert "max_connections=200" not in program.argv
