"""Employees: who works there, and in which role."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.resources.declaration import Line, Name, Reference, managed, refers_to
from shared.validation import form

# what is white space is not the same to all who read regular expressions
EmailOrNothing = Annotated[
    str,
    Meta(max_length=320),
    form(r"^([^@\s\x00-\x1f\x85\ufeff]+@[^@\s\x00-\x1f\x85\ufeff]+)?$(?!\n)", "an e-mail address"),
]


class Employee(msgspec.Struct, frozen=True, kw_only=True):
    """A person; no user of Muster is meant."""

    name: Name
    email: EmailOrNothing = ""
    phone: Line = ""
    role_id: Annotated[Reference, refers_to("roles")] = ""
    active: bool = True


EMPLOYEES = managed(
    "employees",
    Employee,
    singular="employee",
    prefix="em",
    unique=("email",),
    sortable=("name",),
    filters=(("role_id", "role_id"), ("active", "active")),
    searched=("name", "email", "phone"),
)
