"""Pages begin after the last item of the one before, in the order of their list."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import pytest

from services.api.paging import PageQuery, page_query, read_page
from shared.io.problem import HttpError


async def rows(*found: Mapping[str, object]) -> AsyncIterator[Mapping[str, object]]:
    for row in found:
        yield row


def people(*names: str) -> list[dict[str, object]]:
    return [{"id": f"u_{name.lower()}", "email": f"{name}@example.org"} for name in names]


async def test_a_page_leads_to_the_next_until_the_last() -> None:
    query = page_query("email", [("limit", "2")])
    assert {"after_key": None, "after_id": None, "most": 3} == query.arguments
    items, cursor = await read_page(query, rows(*people("A", "B", "C")))
    assert ["u_a", "u_b"] == [item["id"] for item in items]
    assert cursor is not None
    following = page_query("email", [("cursor", cursor)])
    assert ("b@example.org", "u_b") == (following.arguments["after_key"], following.arguments["after_id"])
    assert ("u_c", None) == await first_id(following, "C")


async def first_id(query: PageQuery, *names: str) -> tuple[object, str | None]:
    items, cursor = await read_page(query, rows(*people(*names)))
    return items[0]["id"], cursor


async def test_times_lead_on_as_well() -> None:
    at = datetime(2030, 1, 1, 12, 0, 0, 5, UTC)
    made = [{"id": "t_1", "created_at": at}, {"id": "t_2", "created_at": at}]
    _, cursor = await read_page(PageQuery("-created_at", limit=1), rows(*made))
    assert cursor is not None
    assert at == page_query("-created_at", [("cursor", cursor)]).arguments["after_key"]


@pytest.mark.parametrize(
    "parameters",
    [
        [("limit", "0")],
        [("limit", "1001")],
        [("limit", "٣")],
        [("limit", "")],
        [("limit", "1"), ("limit", "1")],
        [("cursor", "")],
        [("cursor", "x" * 3000)],
        [("cursor", "WyJlbWFpbCIsImEiLCJ1XzEiXQ")],  # of a list by e-mail address
    ],
)
def test_what_is_no_page_is_named(parameters: list[tuple[str, str]]) -> None:
    with pytest.raises(HttpError) as error:
        page_query("-created_at", parameters)
    assert (400, parameters[0][0]) == (error.value.status, error.value.errors[0].field)
