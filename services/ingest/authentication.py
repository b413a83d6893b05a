"""Lets only agents in that prove who they are, before anything of their request is read."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from services.ingest.credentials import Credentials


def guard_for(credentials: Credentials) -> Guard:
    """Return the guard of all routes: it makes the AgentIdentity the `request.user`.

    A route that is for anyone says so in its `opt`.
    """

    async def admit_agent(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        # Litestar answers OPTIONS with the methods of the route
        if handler.opt.get("for_anyone") or connection.scope.get("method") == "OPTIONS":
            return
        authorization = connection.headers.get("authorization", "").encode()
        connection.scope["user"] = await credentials.authenticate(authorization)

    return admit_agent
