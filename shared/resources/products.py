"""Products: what is sold."""

import msgspec

from shared.resources.declaration import Amount, Currency, Labels, Line, Name, Position, Reference, Text, managed


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product; `attributes` are the names of what can be chosen about it."""

    name: Name
    sku: Line = ""
    description: Text = ""
    category_id: Reference = ""
    price: Amount = 0.0
    currency: Currency = ""
    tags: Labels = ()
    attributes: Labels = ()
    available: bool = True
    position: Position = 0


PRODUCTS = managed(
    "products",
    Product,
    singular="product",
    prefix="p",
    unique=("sku",),
    sortable=("name", "position", "price"),
    filters=(("category_id", "category_id"), ("tag", "tags"), ("available", "available")),
    searched=("name", "sku"),
)
