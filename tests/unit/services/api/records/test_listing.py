"""The parameters of a list become a query, or the error names the one that is wrong."""

import pytest

from services.api.records.cursor import Cursor, encode_cursor
from services.api.records.listing import ListQuery, count_statement, page_statement, parameter_names, read_query
from shared.io.problem import HttpError
from shared.resources import AGENTS, SERVERS

SECOND_PAGE = encode_cursor(Cursor("name", "web", "s_1"))


def test_without_parameters_the_first_hundred_come_by_name() -> None:
    assert ListQuery(sort="name", limit=100) == read_query(SERVERS, [])


def test_parameters_are_read() -> None:
    parameters = [("limit", "5"), ("sort", "name"), ("status", "online"), ("status", "unknown"), ("tag", "a")]
    query = read_query(SERVERS, [*parameters, ("q", "web"), ("cursor", SECOND_PAGE)])
    expected = ListQuery(
        sort="name",
        limit=5,
        filters=(("status", ("online", "unknown")), ("tags", ("a",))),
        search="web",
        after=Cursor("name", "web", "s_1"),
    )
    assert expected == query


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "-1"),
        ("limit", "1.5"),
        ("limit", ""),
        ("limit", "\u0665"),
        ("limit", "9" * 5000),
        ("sort", ""),
        ("sort", "notes"),
        ("sort", "--name"),
        ("sort", "name; DROP TABLE servers"),
        ("cursor", "nonsense"),
        ("cursor", encode_cursor(Cursor("-name", "web", "s_1"))),
        ("at_version", "-1"),
        ("at_version", ""),
        ("at_version", str(2**53)),
        ("status", "asleep"),
        ("status", ""),
        ("tag", ""),
        ("tag", "x" * 65),
        ("tag", "\x00"),
        ("q", "a\x00"),
        ("q", "x" * 201),
        ("offset", "5"),
        ("tags", "a"),
    ],
)
def test_a_wrong_parameter_is_named(parameter: str, value: str) -> None:
    with pytest.raises(HttpError) as error:
        read_query(SERVERS, [(parameter, value)])
    assert (400, [parameter]) == (error.value.status, [each.field for each in error.value.errors])


@pytest.mark.parametrize("parameter", ["limit", "sort", "cursor", "q"])
def test_a_parameter_that_makes_sense_once_is_taken_once(parameter: str) -> None:
    value = {"limit": "5", "sort": "name", "cursor": SECOND_PAGE, "q": "x"}[parameter]
    with pytest.raises(HttpError, match="once"):
        read_query(SERVERS, [(parameter, value)] * 2)


def test_a_filter_is_not_repeated_without_end() -> None:
    with pytest.raises(HttpError, match="tag"):
        read_query(SERVERS, [("tag", "a")] * 21)


def test_no_value_is_part_of_the_sql() -> None:
    text = "'; DROP TABLE servers; --"
    query = read_query(SERVERS, [("q", text), ("tag", text), ("group", text)])
    for statement in (page_statement(SERVERS, "w_1", query), count_statement(SERVERS, "w_1", query)):
        assert "DROP" not in statement.sql
        assert ("w_1", [text], [text], text) == statement.arguments[:4]


def test_the_names_of_the_parameters_are_those_of_the_declaration() -> None:
    assert ["limit", "cursor", "sort", "status", "tag", "group", "q", "at_version"] == parameter_names(SERVERS)


def test_a_list_of_the_past_is_the_same_question_to_what_was_then() -> None:
    now = read_query(SERVERS, [("tag", "a"), ("q", "web")])
    then = read_query(SERVERS, [("tag", "a"), ("q", "web"), ("at_version", "7")])
    assert (None, 7) == (now.at_version, then.at_version)
    for make in (count_statement, page_statement):
        past, separator, question = make(SERVERS, "w_1", then).sql.rpartition(") SELECT ")
        assert past.startswith("WITH servers AS (")
        assert separator
        assert make(SERVERS, "w_1", now).sql.count("$") == question.count("$")
        assert 7 in make(SERVERS, "w_1", then).arguments


def test_only_what_is_journalled_has_a_past() -> None:
    with pytest.raises(HttpError, match="at_version"):
        read_query(AGENTS, [("at_version", "1")])
