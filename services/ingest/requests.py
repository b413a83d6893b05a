"""Requests of agents, as Litestar's routes get them."""

from collections.abc import Awaitable
from typing import Any, Generic, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from services.ingest.account import Account
from services.ingest.credentials import AgentIdentity
from services.ingest.faults import fault_of
from services.ingest.throttle import Attempt
from shared.errors import Malformed, MusterError
from shared.io.reading import in_time
from shared.validation import UNREADABLE, decode

_Auth = TypeVar("_Auth")
_Read = TypeVar("_Read")


class _StrictRequest(Request[AgentIdentity, _Auth, State], Generic[_Auth]):
    """A request whose body is strict JSON; Litestar itself would take `"5"` for 5."""

    async def body(self) -> bytes:
        """Return the body; raises HttpError (408), and Malformed when there is none for a route that wants one."""
        body = await in_time(super().body())
        if not body and self.route_handler.parsed_data_field is not None:
            raise Malformed("the body is empty: JSON is needed")
        return body

    async def json(self) -> Any:  # noqa: ANN401  (whatever type the route declares)
        """Return the body as the type that the route declares; raises Malformed, and Rejected for a wrong value."""
        declared = self.route_handler.parsed_data_field
        assert declared is not None  # noqa: S101  (Litestar asks only for routes that have it)
        return _decoded(await self.body(), declared.annotation)


class AgentRequest(_StrictRequest[Account]):
    """An agent's: `user` is who the guard found, `auth` the account that pays for the body."""

    async def json(self) -> Any:  # noqa: ANN401  (likewise)
        """Return the body; raises HttpError (429) as well."""
        self.auth.weigh(len(await self.body()))
        return await super().json()


class EnrolmentRequest(_StrictRequest[Attempt]):
    """That of a machine which has no secret yet: `auth` is the attempt that was admitted, refused where this raises."""

    async def body(self) -> bytes:
        """Return the body, which Litestar asks for before it asks for the JSON in it."""
        return await self._noted(super().body())

    async def json(self) -> Any:  # noqa: ANN401  (likewise)
        """Return what is in it."""
        return await self._noted(super().json())

    async def _noted(self, reading: Awaitable[_Read]) -> _Read:
        try:
            return await reading
        except (MusterError, HTTPException):
            await self.auth.note_refusal()
            raise


def _decoded(body: bytes, kind: Any) -> Any:  # noqa: ANN401  (likewise)
    try:
        # as text: msgspec does not look into the strings of unknown fields
        return decode(body.decode(), kind)
    except UNREADABLE as error:
        raise fault_of(body, error, code="invalid") from error
