"""Where `muster user` and `muster keys` find the servers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stack.administration import servers
from stack.errors import StackError
from stack.ready import Ready


def test_the_environment_wins_over_the_data_folder(tmp_path: Path) -> None:
    ready = Ready("http://127.0.0.1:8000", "redis://here", "postgresql://here", {})
    (tmp_path / "ready.json").write_bytes(msgspec.json.encode(ready))
    assert {"DATABASE_URL": "postgresql://here", "REDIS_URL": "redis://here"} == servers(tmp_path, {})
    given = {"DATABASE_URL": "postgresql://there", "REDIS_URL": "redis://there"}
    assert given == servers(tmp_path, given)


def test_where_no_muster_is_ready_there_are_no_servers(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no Muster is ready"):
        servers(tmp_path, {})
