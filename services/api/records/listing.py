"""Lists of records: from the parameters of a request to SQL, by the resource's declaration. Pure.

Pages are found by key: a page begins after the last record of the one before, whatever was added or removed meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, get_args, get_origin

import msgspec

from services.api.records.cursor import Cursor, decode_cursor
from shared.io.database.past import as_it_was
from shared.io.problem import bad_parameter
from shared.resources import Resource
from shared.validation import fault_in

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_SEARCH_CHARACTERS = 200
MAX_FILTER_VALUES = 20
NEWEST_POSSIBLE = 2**53 - 1  # what a JavaScript number can still count


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a list, as it is or as it was `at_version`. `filters` are (field, wanted values)."""

    sort: str
    limit: int = DEFAULT_LIMIT
    filters: tuple[tuple[str, tuple[object, ...]], ...] = ()
    search: str = ""
    after: Cursor | None = None
    at_version: int | None = None

    @property
    def field(self) -> str:
        """The field that orders the list; the id decides between equals."""
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")


def parameter_names(resource: Resource) -> list[str]:
    """Return the names of the parameters that a list of this resource takes."""
    names = ["limit", "cursor", "sort", *(name for name, _ in resource.filters)]
    return [*names, *(["q"] if resource.searched else []), *(["at_version"] if resource.journalled else [])]


def read_query(resource: Resource, parameters: Iterable[tuple[str, str]]) -> ListQuery:
    """Read the parameters of a request; raises HttpError (400), which names the one that is wrong.

    A filter may be repeated: a record then has one of the values, or all of them where its field is a list.
    """
    given: dict[str, list[str]] = {name: [] for name in parameter_names(resource)}
    for name, value in parameters:
        if name not in given:
            raise bad_parameter(name[:100], "there is no such parameter")
        if "\x00" in value:
            raise bad_parameter(name, "must not contain NUL")
        given[name].append(value)
    wanted_sort = read_once(given, "sort")
    sort = resource.sortable[0] if wanted_sort is None else wanted_sort
    if sort.removeprefix("-") not in resource.sortable:
        raise bad_parameter("sort", f"must be one of {', '.join(resource.sortable)}, or one of them after a -")
    return ListQuery(
        sort=sort,
        limit=read_number("limit", read_once(given, "limit"), 1, MAX_LIMIT) or DEFAULT_LIMIT,
        filters=tuple(
            (field, _values(resource, name, field, given[name])) for name, field in resource.filters if given[name]
        ),
        search=_search(read_once(given, "q")),
        after=_cursor(resource, sort, read_once(given, "cursor")),
        at_version=read_number("at_version", read_once(given, "at_version"), 0, NEWEST_POSSIBLE),
    )


def read_once(given: Mapping[str, Sequence[str]], name: str) -> str | None:
    """Return the value of a parameter, None when it is not given; raises HttpError (400) when it is repeated."""
    values = given.get(name, [])
    if len(values) > 1:
        raise bad_parameter(name, "must be given once")
    return values[0] if values else None


def read_number(name: str, text: str | None, least: int, most: int) -> int | None:
    """Read a number in decimal digits; raises HttpError (400)."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise bad_parameter(name, f"must be a number from {least} to {most}")
    return int(text)


def _search(text: str | None) -> str:
    if text is not None and len(text) > MAX_SEARCH_CHARACTERS:
        raise bad_parameter("q", f"must have at most {MAX_SEARCH_CHARACTERS} characters")
    return text or ""


def _values(resource: Resource, name: str, field: str, texts: Sequence[str]) -> tuple[object, ...]:
    """Check the values of a filter against the type of its field; for a list, against the type of its elements."""
    if len(texts) > MAX_FILTER_VALUES:
        raise bad_parameter(name, f"must not be repeated more than {MAX_FILTER_VALUES} times")
    kind = _type_of(resource, field)
    try:
        if is_list(resource, field):
            return tuple(msgspec.convert(list(texts), kind))
        return tuple(msgspec.convert(text, kind, strict=False) for text in texts)
    except msgspec.ValidationError as error:
        raise bad_parameter(name, fault_in(error)[1]) from error


def _cursor(resource: Resource, sort: str, text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return decode_cursor(text, sort, _type_of(resource, sort.removeprefix("-")))
    except ValueError as error:
        raise bad_parameter("cursor", str(error)) from error


def _type_of(resource: Resource, field: str) -> Any:  # noqa: ANN401  (any type that msgspec knows)
    return next(declared.type for declared in msgspec.structs.fields(resource.model) if declared.name == field)


def _is_nullable(resource: Resource, field: str) -> bool:
    return type(None) in get_args(_type_of(resource, field))


def element_of(resource: Resource, field: str) -> Any:  # noqa: ANN401  (likewise)
    """Return the type of a field's values: of a list, that of its elements."""
    kind = _type_of(resource, field)
    while get_origin(kind) is Annotated:
        inner = get_args(kind)[0]
        if get_origin(inner) is not Annotated and get_origin(inner) not in {tuple, list}:
            return kind
        kind = inner
    return get_args(kind)[0] if get_origin(kind) in {tuple, list} else kind


def is_list(resource: Resource, field: str) -> bool:
    """Whether the field holds several values."""
    kind = msgspec.inspect.type_info(_type_of(resource, field))
    return isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType)


class Statement(msgspec.Struct, frozen=True):
    """SQL with its arguments; the names in it are declared ones, every value is an argument."""

    sql: str
    arguments: tuple[object, ...]


class _Conditions:
    """Collects conditions and their arguments."""

    def __init__(self, workspace_id: str) -> None:
        self.arguments: list[object] = [workspace_id]
        self.texts = ["workspace_id = $1"]
        self.past = ""

    def argument(self, value: object) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, text: str) -> None:
        self.texts.append(text)

    def statement(self, before: str, after: str = "") -> Statement:
        return Statement(f"{self.past}{before} WHERE {' AND '.join(self.texts)}{after}", tuple(self.arguments))


def count_statement(resource: Resource, workspace_id: str, query: ListQuery) -> Statement:
    """Count the records that the filters leave."""
    conditions = _filtered(resource, workspace_id, query)
    return conditions.statement(f"SELECT count(*) FROM {resource.name}")  # noqa: S608  (a declared name)


def page_statement(resource: Resource, workspace_id: str, query: ListQuery) -> Statement:
    """Select id and sort value of a page, and of one record more where there is one."""
    conditions = _filtered(resource, workspace_id, query)
    if query.after is not None:
        conditions.add(_after(resource, conditions, query, query.after))
    field, direction = query.field, "DESC" if query.descending else "ASC"
    # an index serves this order as it is only where no NULLs have to be put somewhere
    nulls = (" NULLS LAST" if query.descending else " NULLS FIRST") if _is_nullable(resource, field) else ""
    limit = conditions.argument(query.limit + 1)
    return conditions.statement(
        f"SELECT id, {field} AS sort_value FROM {resource.name}",  # noqa: S608  (declared names)
        f" ORDER BY {field} {direction}{nulls}, id {direction} LIMIT {limit}",
    )


def _filtered(resource: Resource, workspace_id: str, query: ListQuery) -> _Conditions:
    conditions = _Conditions(workspace_id)
    if query.at_version is not None:
        conditions.past = as_it_was(resource, "$1", conditions.argument(query.at_version))
    for field, values in query.filters:
        wanted = conditions.argument(list(values))
        conditions.add(f"{field} @> {wanted}" if is_list(resource, field) else f"{field} = ANY({wanted})")
    if query.search:
        text = conditions.argument(query.search)
        found = (f"position(lower({text}) IN lower({field})) > 0" for field in resource.searched)
        conditions.add(f"({' OR '.join(found)})")
    return conditions


def _after(resource: Resource, conditions: _Conditions, query: ListQuery, cursor: Cursor) -> str:
    """Return the condition of what follows the cursor; NULL is smaller than every value."""
    field, compare = query.field, "<" if query.descending else ">"
    record_id = conditions.argument(cursor.id)
    if not _is_nullable(resource, field):
        return f"({field}, id) {compare} ({conditions.argument(cursor.value)}, {record_id})"
    if cursor.value is None:
        same = f"({field} IS NULL AND id {compare} {record_id})"
        return same if query.descending else f"({same} OR {field} IS NOT NULL)"
    value = conditions.argument(cursor.value)
    later = f"({field} {compare} {value} OR ({field} = {value} AND id {compare} {record_id})"
    return f"{later} OR {field} IS NULL)" if query.descending else f"{later})"
