"""Connections to PostgreSQL, with `jsonb` as the bytes that a producer encoded."""

import asyncpg

# times are read back as they were written, whatever zone the server prefers
_SETTINGS = {"timezone": "UTC"}

JSONB_VERSION = b"\x01"  # the one byte that PostgreSQL puts before the text of a binary jsonb


async def prepare(connection: asyncpg.Connection) -> None:
    """Make `jsonb` arguments and results plain bytes, so that records pass through untouched."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda data: JSONB_VERSION + bytes(data),
        decoder=lambda data: bytes(data[1:]),
    )


async def connect(database_url: str) -> asyncpg.Connection:
    """Open one connection; raises OSError or asyncpg.PostgresError."""
    connection = await asyncpg.connect(database_url, timeout=10, command_timeout=60, server_settings=_SETTINGS)
    await prepare(connection)
    return connection


async def create_pool(database_url: str, *, size: int = 8) -> asyncpg.Pool:
    """Open a pool of up to `size` connections."""
    return await asyncpg.create_pool(
        database_url, min_size=1, max_size=size, timeout=10, command_timeout=30, init=prepare, server_settings=_SETTINGS
    )
