"""Lets only agents in that prove who they are, before anything of their request is read."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from services.ingest.credentials import Credentials


class AgentAuthentication(AbstractAuthenticationMiddleware):
    """Sets `request.user` to the AgentIdentity of the secret; raises what `Credentials.authenticate` raises.

    The application's state has the `credentials`: Litestar copies what is given to a middleware.
    """

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """Tell the agent by its `Authorization` header."""
        credentials: Credentials = connection.app.state.credentials
        authorization = connection.headers.get("authorization", "").encode()
        return AuthenticationResult(user=await credentials.authenticate(authorization), auth=None)
