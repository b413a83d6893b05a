"""Recording in the audit log what a caller does in their workspace."""

import asyncpg

from services.api.permissions import Caller
from shared.audit import Actor, Details, Origin
from shared.io.audit import record_in


async def record_by(  # noqa: PLR0913  (what the event says)
    connection: asyncpg.Connection,
    caller: Caller,
    action: str,
    record_id: str,
    *,
    resource: str,
    origin: Origin,
    details: Details | None = None,
) -> None:
    """Record what the caller does now, in the transaction that does it and as its last step."""
    await record_in(
        connection,
        caller.workspace_id,
        action,
        resource=resource,
        record_id=record_id,
        actor=Actor(caller.user_id, origin),
        details=details,
    )
