"""Who gets through to Litestar's routes, and on whose account: before anything of a body is read."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from services.ingest.credentials import Credentials
from services.ingest.intake import Intake
from services.ingest.throttle import Throttle
from shared.io.address import address_of

FOR_ANYONE: dict[str, Any] = {"for_anyone": True}
"""The `opt` of a route that wants no secret."""

THROTTLED: dict[str, Any] = {"is_throttled": True}
"""The `opt` of a route that wants no secret either, and is counted by address."""

_Connection = ASGIConnection[Any, Any, Any, Any]


def guard_for(credentials: Credentials, intake: Intake, throttle: Throttle) -> Guard:
    """Return the guard of all routes: it makes the AgentIdentity the `request.user`, and its account `request.auth`.

    Where attempts are counted by address, `request.auth` is the Attempt instead.
    """

    async def admit_agent(connection: _Connection, handler: BaseRouteHandler) -> None:
        # Litestar answers OPTIONS with the methods of the route
        if handler.opt.get("for_anyone") or connection.scope.get("method") == "OPTIONS":
            return
        if handler.opt.get("is_throttled"):
            connection.scope["auth"] = await throttle.admit(_address_of(connection))
            return
        authorization = connection.headers.get("authorization", "").encode()
        identity = await credentials.authenticate(authorization)
        account = intake.account(identity)
        account.let_in()
        connection.scope["user"], connection.scope["auth"] = identity, account

    return admit_agent


def _address_of(connection: _Connection) -> str:
    peer = connection.client.host if connection.client else ""
    return address_of(peer, connection.headers.get("x-forwarded-for"))
