"""Query parameters as OpenAPI describes them: by the types that their values must be of."""

from typing import Annotated, Any, cast

import msgspec
from litestar.openapi.spec import Parameter, Schema
from msgspec import Meta

from services.api.records.cursor import CursorText
from services.api.records.listing import (
    DEFAULT_LIMIT,
    MAX_FILTER_VALUES,
    MAX_LIMIT,
    MAX_SEARCH_CHARACTERS,
    element_of,
)
from shared.resources import Resource
from shared.validation import form

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]

Search = Annotated[str, form(r"^[^\x00]*$", "text without NUL", max_length=MAX_SEARCH_CHARACTERS)]


def query_parameter(name: str, kind: Any, *, required: bool = False, **said: object) -> Parameter:  # noqa: ANN401  (any type that msgspec knows)
    """Describe a parameter whose value is of this type; `said` is what else its schema says, such as a default."""
    schema = {**msgspec.json.schema(kind), **said}
    return Parameter(name=name, param_in="query", required=required, schema=cast("Schema", schema))


def repeated_parameter(name: str, kind: Any) -> Parameter:  # noqa: ANN401  (likewise)
    """Describe a filter, which may be repeated, each time with a value of this type."""
    schema = {"type": "array", "items": msgspec.json.schema(kind), "maxItems": MAX_FILTER_VALUES}
    return Parameter(name=name, param_in="query", schema=cast("Schema", schema))


def page_parameters() -> list[Parameter]:
    """Describe the parameters of a page of a list."""
    return [
        query_parameter("limit", Limit, default=DEFAULT_LIMIT),
        query_parameter("cursor", CursorText, description="`next_cursor` of the page before"),
    ]


def selection_parameters(resource: Resource) -> list[Parameter]:
    """Describe the parameters that say which records of a resource are wanted, and in which order."""
    orders = [order for field in resource.sortable for order in (field, f"-{field}")]
    described = [query_parameter("sort", str, enum=orders, default=resource.sortable[0])]
    described += [repeated_parameter(name, element_of(resource, field)) for name, field in resource.filters]
    if resource.searched:
        found = f"Text that {' or '.join(resource.searched)} contains"
        described.append(query_parameter("q", Search, description=found))
    return described
