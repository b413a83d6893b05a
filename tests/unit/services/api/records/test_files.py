"""Files of records: what goes out comes back the same, and what is wrong in one is named by line and field."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.records.csv_form import csv_header, csv_row, read_csv
from services.api.records.import_plan import Known, Mode, Plan, Planner, checked, unique_values
from services.api.records.json_form import read_json
from services.api.records.representation import represent
from services.api.records.rows import Row, RowFault
from services.api.records.writer import Change, Creation
from shared.resources import RESOURCES, Resource
from shared.topic import Record

TAGS, PRODUCTS, RULES, SERVERS = (RESOURCES[name] for name in ("tags", "products", "price_rules", "servers"))
EDITABLE = [resource for resource in RESOURCES.values() if resource.editable]
FORMULAS = ("=1+1", "+1", "-1", "@x", "\tx", "'=x", "''@", "'quoted'", "\uff1d1", "\nx", "a=b")


def record(resource: Resource, record_id: str, version: int = 3, **fields: object) -> Record:
    return Record(record_id, version, msgspec.json.encode(msgspec.convert(fields, resource.model)))


def shown(record: Record) -> dict[str, object]:
    fields: dict[str, object] = msgspec.json.decode(represent(record))
    return fields


def as_csv(resource: Resource, records: list[Record]) -> str:
    return b"".join([csv_header(resource), *(csv_row(resource, shown(each)) for each in records)]).decode()


def as_json(_: Resource, records: list[Record]) -> str:
    return (b"[" + b",\n".join(represent(each) for each in records) + b"]").decode()


def plan_of(
    resource: Resource, rows: Iterator[Row | RowFault], *stored: Record, strict: bool = False, mode: Mode = "upsert"
) -> Plan:
    good, faults = checked(resource, rows, strict=strict)
    holders = {(field, str(shown(each)[field])): each.id for each in stored for field in resource.unique}
    known = Known({each.id: each for each in stored}, {key: holders[key] for key in holders if key[1]})
    plan = Planner(resource, known, mode, lambda number: f"new_{number}").take_all(good)
    plan.faults = [*faults, *plan.faults]
    return plan


def done(plan: Plan, *stored: Record) -> dict[str, bytes]:
    """Return the records as they are after the steps of a plan."""
    records = {each.id: each.data for each in stored}
    for _, step in plan.steps:
        if isinstance(step, Creation):
            records[step.id] = step.data
        elif isinstance(step, Change):
            records[step.id] = step.edit(Record(step.id, 0, records[step.id])) or records[step.id]
    return records


def faults(plan: Plan) -> list[tuple[int, str]]:
    return [(fault.line, fault.field) for fault in plan.faults]


texts = st.one_of(st.sampled_from(FORMULAS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
lines = texts.map(lambda text: "".join(c for c in text if c >= " ")[:200])
labels = st.lists(lines.map(lambda text: text[:64]).filter(bool), max_size=5)
products = st.builds(
    lambda **fields: fields,
    name=lines.filter(bool),
    sku=lines,
    description=texts,
    price=st.floats(0, 1e15),
    currency=st.sampled_from(["", "EUR"]),
    tags=labels,
    attributes=labels,
    available=st.booleans(),
    position=st.integers(-(2**31), 2**31 - 1),
)
times = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001  (made aware)
    lambda time: time.replace(tzinfo=UTC).isoformat()
)
rules = st.builds(
    lambda **fields: fields,
    name=lines.filter(bool),
    value=st.floats(-1e15, 1e15),
    targets=st.lists(st.sampled_from(["p_1", "-", "_x"]), max_size=3),
    starts_at=st.none() | times,
    kind=st.sampled_from(["percent", "amount", "fixed"]),
)


@pytest.mark.parametrize(("write", "read", "strict"), [(as_csv, read_csv, False), (as_json, read_json, True)])
@given(some=st.data())
def test_what_goes_out_comes_back_the_same(
    write: Callable[[Resource, list[Record]], str],
    read: Callable[[Resource, str], Iterator[Row | RowFault]],
    strict: bool,
    some: st.DataObject,
) -> None:
    resource, fields = some.draw(st.sampled_from([(PRODUCTS, products), (RULES, rules)]))
    unique_by = (lambda each: each["sku"]) if resource is PRODUCTS else id
    drawn = some.draw(st.lists(fields, max_size=4, unique_by=unique_by))
    records = [record(resource, f"r_{n}", **each) for n, each in enumerate(drawn)]
    file = write(resource, records)
    plan = plan_of(resource, read(resource, file), strict=strict)
    assert [] == plan.faults
    assert {each.id: each.data for each in records} == done(plan)
    again = plan_of(resource, read(resource, file), *records, strict=strict)
    assert ([], len(records)) == (again.steps, len(again.unchanged))


@pytest.mark.parametrize("resource", EDITABLE, ids=lambda resource: resource.name)
def test_defaults_come_back_as_empty_cells(resource: Resource) -> None:
    required: dict[str, Any] = {field.name: "a" for field in msgspec.structs.fields(resource.model) if field.required}
    plain = record(resource, "r_1", **required)
    plan = plan_of(resource, read_csv(resource, as_csv(resource, [plain])))
    assert ([], {"r_1": plain.data}) == (plan.faults, done(plan))
    cells = ["r_1", *(required.get(name, "") for name in resource.columns)]
    empty = f"{','.join(['id', *resource.columns])}\r\n{','.join(cells)}"
    assert {"r_1": plain.data} == done(plan_of(resource, read_csv(resource, empty)))


def test_no_cell_is_a_formula() -> None:
    file = as_csv(PRODUCTS, [record(PRODUCTS, f"p_{n}", name="x", description=text) for n, text in enumerate(FORMULAS)])
    cells = [row["description"] for row in csv.DictReader(io.StringIO(file, newline=""))]
    assert [] == [cell for cell in cells if cell[0] in "=+-@\t\r\n\uff1d"]
    assert {"'quoted'", "a=b"} == set(cells) & set(FORMULAS) - {"'=x", "''@"}
    assert ",-5.0," in as_csv(RULES, [record(RULES, "r", name="x", value=-5)])


def test_lists_may_be_written_by_hand() -> None:
    file = 'id,name,tags\np_1,a,hot; new;\np_2,b,"[""x;y"",""z""]"\np_3,c,[]\np_4,d,[oops\n'
    plan = plan_of(PRODUCTS, read_csv(PRODUCTS, file))
    tags = {key: msgspec.json.decode(data)["tags"] for key, data in done(plan).items()}
    assert {"p_1": ["hot", "new"], "p_2": ["x;y", "z"], "p_3": []} == tags
    assert [(5, "tags")] == faults(plan)


def test_every_bad_row_is_named_by_line_and_field() -> None:
    file = (
        "id,name,sku,price,position,available\n"
        'p_1,"two\nlines",,,,\n'
        "p 2,b,,x,1.5,perhaps\n"
        "\n"
        ",,,,,\n"
        "p_4,d\n"
        "p_5,e,twice,1,1,true\n"
        ",f,twice,1,1,true\n"
        "p_5,g,,,,\n"
    )
    plan = plan_of(PRODUCTS, read_csv(PRODUCTS, file))
    expected = [
        (2, "name"),
        (4, "id"),
        (4, "price"),
        (4, "position"),
        (4, "available"),
        (7, ""),
        (6, "name"),
        (9, "id"),
        (10, "id"),
    ]
    assert expected == faults(plan)
    assert [1, 2, 2, 2, 2, 4, 3, 6, 7] == [fault.row for fault in plan.faults]
    assert "line 8 is about this record, too" == plan.faults[-1].message


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("", [(1, "")]),
        ("id,nmae,name,name\nx,y,z,z\n", [(1, "nmae"), (1, "name")]),
        ('id,name\nt_1,"open\n', [(2, "")]),
        ('id,name\nt_1,"a"b\n', [(2, "")]),
    ],
)
def test_a_file_that_is_no_table_is_refused(file: str, expected: list[tuple[int, str]]) -> None:
    assert expected == faults(plan_of(TAGS, read_csv(TAGS, file)))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("", [(1, "")]),
        ('{"name":"a"}', [(1, "")]),
        ('[\n{"name":"a"},\n5,\n{"nmae":1}]', [(3, ""), (4, "nmae")]),
        ('[{"name":"a"}\n{"name":"b"}]', [(1, "")]),
        ('[{"name":"a"},\n{"name":NaN}]', [(1, "")]),
        ('[{"name":"a"}] x', [(1, "")]),
        ('[{"name":"\\ud800"}]', [(1, "")]),
        ("[" * 100_000, [(1, "")]),
        ('[{"name":5,"position":"1"},{"id":7,"name":"a"}]', [(1, "name"), (1, "position"), (1, "id")]),
    ],
)
def test_json_that_is_no_array_of_records_is_refused(file: str, expected: list[tuple[int, str]]) -> None:
    assert expected == faults(plan_of(TAGS, read_json(TAGS, file), strict=True))


def test_a_record_is_found_by_its_id_or_its_unique_value_and_keeps_what_the_file_does_not_name() -> None:
    one, two = record(TAGS, "t_1", name="a", position=1), record(TAGS, "t_2", name="b", color="#00ff00")
    file = "id,name,color\nt_1,c,\n,b,#ff0000\n,d,\n,c,\n"
    plan = plan_of(TAGS, read_csv(TAGS, file), one, two)
    assert [("t_1", ("name",)), ("t_2", ("color",))] == [(each.id, each.fields) for each in plan.updated]
    assert ["new_3"] == [each.id for each in plan.created]
    assert [(5, "id")] == faults(plan)  # t_1 is c by then
    assert record(TAGS, "t_1", name="c", position=1).data == done(plan, one, two)["t_1"]


def test_unique_values_go_from_hand_to_hand_in_the_order_of_the_file() -> None:
    one, two = record(TAGS, "t_1", name="a"), record(TAGS, "t_2", name="b")
    assert [] == faults(plan_of(TAGS, read_csv(TAGS, "id,name\nt_1,c\nt_2,a\n"), one, two))
    assert [(2, "name")] == faults(plan_of(TAGS, read_csv(TAGS, "id,name\nt_2,a\nt_1,c\n"), one, two))


def test_create_wants_that_nothing_of_it_exists() -> None:
    stored = record(TAGS, "t_1", name="a")
    file = "id,name\nt_1,x\n,a\nt_2,b\n"
    plan = plan_of(TAGS, read_csv(TAGS, file), stored, mode="create")
    assert [(2, "id"), (3, "id")] == faults(plan)
    assert ["t_2"] == [each.id for each in plan.created]
    # what an earlier attempt of the same request has made is no obstacle
    again = plan_of(TAGS, read_csv(TAGS, "name\nnew\n"), record(TAGS, "new_1", name="new"), mode="create")
    assert ([], ["new_1"]) == (again.faults, [each.id for each in again.unchanged])


def test_what_people_cannot_write_is_not_taken_from_a_file() -> None:
    server = record(SERVERS, "s_1", name="a", hostname="h", status="online", os={"name": "Debian"})
    for write, read, strict in ((as_csv, read_csv, False), (as_json, read_json, True)):
        assert "Debian" in write(SERVERS, [server])
        plan = plan_of(SERVERS, read(SERVERS, write(SERVERS, [server])), strict=strict)
        assert ([], {"s_1": record(SERVERS, "s_1", name="a").data}) == (plan.faults, done(plan))


def test_what_is_looked_up_is_named_once() -> None:
    good, _ = checked(TAGS, read_csv(TAGS, "name\na\na\nb\n"), strict=False)
    assert [("name", "a"), ("name", "b")] == unique_values(TAGS, good)
