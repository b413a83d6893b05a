"""The page's types and descriptors are what the declarations say."""

from typing import Annotated, Literal

import msgspec
import pytest

from services.api.typescript import GENERATED, typescript
from shared.resources import RESOURCES
from shared.resources.declaration import (
    Color,
    Labels,
    Name,
    Position,
    Reference,
    Resource,
    Text,
    Time,
    managed,
    refers_to,
)


class Menu(msgspec.Struct, frozen=True, kw_only=True):
    """What is served.

    And more that only programmers read.
    """

    name: Name
    notes: Text = ""
    kind: Literal["lunch", "dinner"] = "lunch"
    color: Color = ""
    tags: Labels = ()
    position: Position = 0
    from_date: Time | None = None
    zone_id: Annotated[Reference, refers_to("zones")] = ""
    line_group_id: Reference = ""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part."""

    size: int | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measurement."""

    at: Time
    value: float | None = None
    parts: tuple[Part, ...] | None = None


MENUS = managed("lunch_menus", Menu, singular="lunch_menu", prefix="me", sortable=("name",))
READINGS = Resource(name="readings", singular="reading", prefix="rd", model=Reading, sortable=("at",))


def made(*resources: Resource) -> str:
    return typescript({resource.name: resource for resource in (*resources, RESOURCES["zones"])})


def test_the_committed_module_is_what_the_declarations_give() -> None:
    assert typescript(RESOURCES) == GENERATED.read_text(encoding="utf-8"), "write it anew with `make types`"


def test_a_record_has_an_interface() -> None:
    expected = """/** What is served. */
export interface Menu {
  readonly name: string;
  readonly notes: string;
  readonly kind: "dinner" | "lunch";
  readonly color: string;
  readonly tags: readonly string[];
  readonly position: number;
  readonly from_date: string | null;
  readonly zone_id: string;
  readonly line_group_id: string;
}
"""
    assert expected in made(MENUS)


def test_what_is_encoded_without_its_defaults_may_lack_fields() -> None:
    assert "{\n  readonly at: string;\n  readonly value?: number | null;\n" in made(READINGS)
    assert "export interface Part {\n  readonly size?: number | null;\n}" in made(READINGS)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("notes", {"kind": "long-text", "label": "Notes", "maxLength": 10_000, "default": ""}),
        ("kind", {"kind": "choice", "options": ["lunch", "dinner"], "default": "lunch", "isRequired": False}),
        ("color", {"kind": "color", "hint": "Red, green and blue, such as #2456c9"}),
        ("tags", {"kind": "list", "maxItems": 64, "default": []}),
        ("position", {"kind": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}),
        ("from_date", {"kind": "time", "isNullable": True, "default": None}),
        ("zone_id", {"kind": "reference", "resource": "zones", "label": "Zone"}),
        ("line_group_id", {"kind": "text", "label": "Line group ID"}),
        ("name", {"kind": "text", "isRequired": True, "minLength": 1, "maxLength": 200, "isEditable": True}),
    ],
)
def test_a_field_is_described_by_its_kind_and_what_it_must_be(field: str, expected: dict[str, object]) -> None:
    of_menus = made(MENUS).partition("  lunch_menus: {")[2].partition("  zones: {")[0]
    lines = (line.strip().rstrip(",") for line in of_menus.splitlines())
    (described,) = (msgspec.json.decode(line) for line in lines if line.startswith(f'{{"name": "{field}"'))
    assert expected == {name: described[name] for name in expected}


def test_a_resource_that_people_do_not_write_has_no_writers() -> None:
    text = made(READINGS)
    assert "    writers: [],\n    isDeletable: false,\n    isJournalled: false," in text
    assert '    titleField: "at",' in text


def test_a_reference_to_what_is_no_resource_is_found_out() -> None:
    with pytest.raises(LookupError, match=r"lunch_menus\.zone_id refers to what is no resource: zones"):
        typescript({"lunch_menus": MENUS})
