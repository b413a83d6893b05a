"""Requests of agents, as Litestar's routes get them."""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from services.ingest.credentials import AgentIdentity
from services.ingest.faults import UNREADABLE, fault_of
from shared.errors import Malformed
from shared.validation import decode


class AgentRequest(Request[AgentIdentity, None, State]):
    """A request whose body is strict JSON; Litestar itself would take `"5"` for 5. `user` is who the guard found."""

    async def body(self) -> bytes:
        """Return the body; raises Malformed when there is none for a route that wants one."""
        body = await super().body()
        if not body and self.route_handler.parsed_data_field is not None:
            raise Malformed("the body is empty: JSON is needed")
        return body

    async def json(self) -> Any:  # noqa: ANN401  (whatever type the route declares)
        """Return the body as the type that the route declares; raises Malformed, and Rejected for a wrong value."""
        declared = self.route_handler.parsed_data_field
        assert declared is not None  # noqa: S101  (Litestar asks only for routes that have it)
        body = await self.body()
        try:
            # as text: msgspec does not look into the strings of unknown fields
            return decode(body.decode(), declared.annotation)
        except UNREADABLE as error:
            raise fault_of(body, error, code="invalid") from error
