"""How inventories differ, and which cannot be kept."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.facts import Facts, difference, facts_of
from services.ingest.messages import MAX_INVENTORY_DEPTH, Handshake
from shared.errors import Rejected

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
inventories = st.dictionaries(st.sampled_from(["cores", "disks", "boot_time", "packages"]), values)


def facts(**inventory: Any) -> Facts:  # noqa: ANN401  (JSON)
    return Facts({"name": "Debian", "kernel": "6.12"}, inventory)


@given(before=inventories, after=inventories)
def test_difference_leads_from_one_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = difference(facts(**before), facts(**after))
    lasting = facts(**before).lasting | {name: new for name, (_, new) in found.items()}
    wanted = facts(**after).lasting
    assert wanted == {name: value for name, value in lasting.items() if name in wanted}
    assert {name for name, (old, new) in found.items() if old == new and name in wanted} <= {
        name for name in wanted if wanted[name] is None
    }
    assert {} == difference(facts(**after), facts(**after))


def test_passing_facts_make_no_difference_but_another_digest() -> None:
    before, after = facts(boot_time="a", packages=1), facts(boot_time="b", packages=2)
    assert {} == difference(before, after)
    assert before.digest != after.digest


def test_order_of_fields_makes_no_difference() -> None:
    assert facts(a=1, b={"c": 1, "d": 2}).digest == facts(b={"d": 2, "c": 1}, a=1).digest


def test_system_is_compared_field_by_field() -> None:
    assert {"os.kernel": ["6.12", "6.13"]} == difference(
        facts(), msgspec.structs.replace(facts(), os={"name": "Debian", "kernel": "6.13"})
    )


def test_inventory_may_be_nested_to_a_depth() -> None:
    def nested(depth: int) -> dict[str, Any]:
        return {"a": nested(depth - 1)} if depth else {}

    facts_of(Handshake(boot_id="b", inventory=nested(MAX_INVENTORY_DEPTH - 1)))
    with pytest.raises(Rejected, match="nested"):
        facts_of(Handshake(boot_id="b", inventory=nested(MAX_INVENTORY_DEPTH)))
