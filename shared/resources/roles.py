"""Roles: what employees may do at the till; no role in a workspace of Muster is meant."""

import msgspec

from shared.resources.declaration import Labels, Name, managed


class EmployeeRole(msgspec.Struct, frozen=True, kw_only=True):
    """A set of permissions."""

    name: Name
    permissions: Labels = ()


ROLES = managed(
    "roles",
    EmployeeRole,
    singular="role",
    prefix="r",
    unique=("name",),
    sortable=("name",),
    filters=(("permission", "permissions"),),
)
