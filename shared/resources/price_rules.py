"""Price rules: discounts and surcharges."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.resources.declaration import Name, Position, References, Time, managed


class PriceRule(msgspec.Struct, frozen=True, kw_only=True):
    """Changes the price of `targets` by `value`: percent of it, an amount, or (`fixed`) a price instead of it.

    `targets` are the ids of products, categories or tags, as `applies_to` says. Of several rules the one of the
    highest `priority` holds.
    """

    name: Name
    applies_to: Literal["all", "products", "categories", "tags"] = "all"
    targets: References = ()
    kind: Literal["percent", "amount", "fixed"] = "percent"
    value: Annotated[float, Meta(ge=-1e15, le=1e15)] = 0.0
    starts_at: Time | None = None
    ends_at: Time | None = None
    priority: Position = 0
    active: bool = True


PRICE_RULES = managed(
    "price_rules",
    PriceRule,
    singular="price_rule",
    prefix="pr",
    sortable=("name", "priority", "starts_at", "ends_at"),
    filters=(("applies_to", "applies_to"), ("active", "active"), ("target", "targets")),
)
