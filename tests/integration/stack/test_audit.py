"""`muster audit verify` says where the audit log breaks, and its exit status says whether it does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.audit import Event, Origin
from shared.io.audit import record
from shared.io.database.pool import connect
from stack.audit import verify
from stack.errors import StackError
from stack.terminal import Terminal


def event(workspace_id: str) -> Event:
    origin = Origin("192.0.2.1", "r-1")
    return Event(workspace_id=workspace_id, at=datetime.now(UTC), actor="u_1", action="updated", origin=origin)


async def test_it_says_where_each_chain_ends_or_breaks(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"DATABASE_URL": database_url}
    assert 0 == await verify(tmp_path, environ, Terminal())
    assert "The audit log is empty.\n" == capsys.readouterr().out
    connection = await connect(database_url)
    async with connection.transaction():
        await record(connection, [event("w_1"), event("w_1"), event("")])
    head = await connection.fetchval("SELECT hash FROM audit_heads WHERE workspace_id = 'w_1'")
    assert 0 == await verify(tmp_path, environ, Terminal())
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("the installation holds up to entry 1, hash ")
    assert [f"workspace w_1 holds up to entry 2, hash {head.hex()}", "The audit log holds."] == said[1:]
    await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    await connection.execute("UPDATE audit_log SET actor = 'u_2' WHERE workspace_id = 'w_1' AND seq = 2")
    await connection.close()
    assert 1 == await verify(tmp_path, environ, Terminal())
    assert "workspace w_1 BREAKS at entry 2: it is not what was recorded\n" in capsys.readouterr().out


async def test_without_a_database_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no Muster is ready in"):
        await verify(tmp_path, {}, Terminal())
    with pytest.raises(StackError, match="the audit log cannot be read"):
        await verify(tmp_path, {"DATABASE_URL": "postgresql://127.0.0.1:1/muster"}, Terminal())
