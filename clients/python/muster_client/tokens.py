"""Keeps the token with which the client signs in, and asks for another before it ends or when it was refused."""

import asyncio
from collections.abc import Awaitable, Callable

from muster_client.errors import RetryLater, SignedOut
from muster_client.messages import Welcome

TokenSource = Callable[[], Awaitable[str]]
"""Gives a fresh token at each call; raises SignedOut when there is none any more, RetryLater when there is none now."""

TOKEN_WITHIN_S = 30.0
RENEW_AHEAD_S = 60.0


def renewal_in_s(welcome: Welcome) -> float | None:
    """Return how long after a welcome the token is to be renewed; None for one that does not end.

    Both times are of the server's clock, so that a wrong one here does no harm.
    """
    if welcome.expires_at is None:
        return None
    life_s = (welcome.expires_at - welcome.server_time).total_seconds()
    return max(life_s / 2, life_s - RENEW_AHEAD_S)


class Tokens:
    """The token in use; `token` is one for good, or a source of them."""

    def __init__(self, token: str | TokenSource) -> None:
        self.is_fixed = isinstance(token, str)
        self._source = token
        self._token: str | None = None
        self._renew_at: float | None = None

    def welcomed(self, welcome: Welcome, now: float) -> None:
        """Note that the server has taken the token, and for how long."""
        in_s = renewal_in_s(welcome)
        self._renew_at = None if in_s is None else now + in_s

    def spend(self) -> None:
        """Use the present token no more."""
        self._token = None

    async def get(self, now: float) -> str:
        """Return a token to sign in with; raises SignedOut, RetryLater."""
        if isinstance(self._source, str):
            return self._source
        if self._token is None or (self._renew_at is not None and now >= self._renew_at):
            self._token, self._renew_at = await self._fetch(self._source), None
        return self._token

    @staticmethod
    async def _fetch(source: TokenSource) -> str:
        try:
            async with asyncio.timeout(TOKEN_WITHIN_S):
                token = await source()
        except OSError as error:  # a timeout is one, too
            raise RetryLater(str(error) or f"no token within {TOKEN_WITHIN_S:g} s") from error
        if not token:
            raise SignedOut("there is no token")
        return token
