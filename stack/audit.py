"""Checks the audit log: `muster audit verify`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import asyncpg

from shared.io.audit import Break
from shared.io.audit import verify as verify_chains
from shared.io.database.pool import connect
from stack.errors import StackError
from stack.running import database_url
from stack.terminal import Terminal

BROKEN = 1


async def verify(data_dir: Path, environ: Mapping[str, str], terminal: Terminal) -> int:
    """Say of each chain where it ends, or where it breaks; return 1 when one does. Raises `StackError`."""
    try:
        connection = await connect(database_url(data_dir, environ))
        try:
            found = [chain async for chain in verify_chains(connection)]
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise StackError(f"the audit log cannot be read: {error}") from error
    for chain in found:
        terminal.say(_line(chain))
    if any(isinstance(chain, Break) for chain in found):
        return BROKEN
    terminal.say("The audit log holds." if found else "The audit log is empty.")
    return 0


def _line(chain: object) -> str:
    if isinstance(chain, Break):
        return f"{_named(chain.workspace_id)} BREAKS at entry {chain.seq}: {chain.reason}"
    assert isinstance(chain, tuple)  # noqa: S101  (the other of the two)
    workspace_id, head = chain
    return f"{_named(workspace_id)} holds up to entry {head.seq}, hash {head.hash.hex()}"


def _named(workspace_id: str) -> str:
    return f"workspace {workspace_id}" if workspace_id else "the installation"
