"""Pages of the lists that are no records: users, members, invitations, API tokens.

A page begins after the last item of the one before, by the value that orders the list and the item's id.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import Operation

from services.api.parameter_schemas import page_parameters
from services.api.records.cursor import Cursor, decode_cursor, encode_cursor
from services.api.records.listing import DEFAULT_LIMIT, MAX_LIMIT, read_number
from shared.io.problem import bad_parameter
from shared.resources.declaration import Line, Time

PAGE_PARAMETERS = ("limit", "cursor")

_KINDS: Mapping[str, Any] = {"email": Line, "-created_at": Time}


class PageQuery(msgspec.Struct, frozen=True):
    """Which page of a list is asked for; `sort` is the order of the list."""

    sort: str
    limit: int = DEFAULT_LIMIT
    after: Cursor | None = None

    @property
    def arguments(self) -> dict[str, object]:
        """What the queries of lists call it; they return one row more where there is a next page."""
        after = self.after
        key, item_id = (after.value, after.id) if after is not None else (None, None)
        return {"after_key": key, "after_id": item_id, "most": self.limit + 1}


async def read_page(query: PageQuery, rows: AsyncIterator[Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the items of a page, and the cursor of the next one, None on the last."""
    items = [dict(row) async for row in rows]
    if len(items) <= query.limit:
        return items, None
    last = items[query.limit - 1]
    value = last["email"].lower() if query.sort == "email" else last["created_at"]
    return items[: query.limit], encode_cursor(Cursor(query.sort, value, last["id"]))


def page_query(sort: str, parameters: Iterable[tuple[str, str]]) -> PageQuery:
    """Read the parameters of a request; raises HttpError (400), which names the one that is wrong."""
    given = list(parameters)
    for name in PAGE_PARAMETERS:
        if sum(each == name for each, _ in given) > 1:
            raise bad_parameter(name, "must be given once")
    texts = dict(given)
    limit = read_number("limit", texts.get("limit"), 1, MAX_LIMIT) or DEFAULT_LIMIT
    return PageQuery(sort, limit, _cursor(sort, texts.get("cursor")))


@dataclass
class PagedOperation(Operation):
    """An operation that has the parameters of a page."""

    def __post_init__(self) -> None:
        """Add the parameters."""
        self.parameters = [*(self.parameters or []), *page_parameters()]


def _cursor(sort: str, text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return decode_cursor(text, sort, _KINDS[sort])
    except ValueError as error:
        raise bad_parameter("cursor", str(error)) from error
