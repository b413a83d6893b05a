"""A user with a login and a key that signs tokens, in a database that processes of their own ask."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.io.database.pool import connect
from shared.tokens import SigningKey, encode_token, new_claims

KEY = SigningKey("k_1", b"1" * 32)
_USER, _SESSION = "u_1", "x_1"


async def create_login(database_url: str, workspaces: Sequence[str]) -> None:
    """Make a viewer of these workspaces, with a login that lasts a day."""
    connection = await connect(database_url)
    try:
        await connection.execute("INSERT INTO users (id, email, password_hash) VALUES ($1, 'a@example.org', '')", _USER)
        for workspace in workspaces:
            await connection.execute("INSERT INTO workspaces (id, name) VALUES ($1, $1)", workspace)
            await connection.execute("INSERT INTO members VALUES ($1, $2, 'viewer')", workspace, _USER)
        await connection.execute(
            "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')", _SESSION, _USER
        )
        await connection.execute("INSERT INTO signing_keys (id, secret) VALUES ($1, $2)", KEY.id, KEY.secret)
    finally:
        await connection.close()


async def fresh_token() -> str:
    """Return a token of that login, as a client gets one before it connects."""
    return encode_token(new_claims(_USER, _SESSION, datetime.now(UTC)), KEY)
