"""The doors of the api, taken from its routes, and how an intruder goes through each: whatever can be named is named.

A new route is a door by itself. Who adds one whose path names something new is asked to say in `_in_path` what that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from shared.resources import RESOURCES, Resource
from tests.support.two_workspaces import EDITIONS, OURS, Names

_NEEDED = {"format": "json", "topic": "tags", "epoch": "1", "since": "0"}
BUILD = {"os": "linux", "arch": "x86_64", "version": "latest"}
"""A build of the agent, which is the same for everybody."""
_SPAN = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
"""Else the span of a history ends now, which is another moment for each request."""
"""Parameters without which there is no answer."""

_WAY_OUT = "/api/v1/auth/logout"
"""The one door that names nothing, and ends the login of who goes through it."""


class Door(msgspec.Struct, frozen=True):
    """A route: whom it is for, which query parameters it takes, and the type of its body."""

    method: str
    path: str
    access: str
    query: frozenset[str]
    body: Any

    @property
    def resource(self) -> Resource | None:
        """The resource whose records it is about, if any."""
        return RESOURCES.get(self.path.removeprefix("/api/v1/").partition("/")[0])


class Ask(msgspec.Struct, frozen=True):
    """A request; `way` says how it names what it is after."""

    way: str
    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: Any = None


def doors_of(app: Litestar) -> list[Door]:
    """Return all doors, those for reading first."""
    found = []
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format != _WAY_OUT:
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    field = handler.parsed_data_field
                    opt = handler.opt
                    kind = None if field is None else field.annotation
                    found.append(Door(str(method), route.path_format, opt["access"], opt["query"], kind))
    return sorted(found, key=lambda door: (door.method != "GET", door.path))


def at_home(door: Door) -> Ask:
    """Return the request with which our own people go through a door."""
    needed = {name: value for name, value in _NEEDED.items() if name in door.query}
    if "/servers/" in door.path and door.path.endswith("/metrics"):
        needed |= _SPAN
    body = next(_bodies(door, OURS), None)
    return Ask("at home", door.method, _in_path(door, OURS), needed, {}, body)


def attempts(door: Door, names: Names) -> Iterator[Ask]:
    """Yield requests that name a workspace, or something in it, in every place that a request has."""
    home = at_home(door)
    abroad = _in_path(door, names)
    elsewhere = {"X-Workspace": names.workspace}
    if "{workspace_id}" not in door.path:
        yield msgspec.structs.replace(home, way="header", headers=elsewhere)
    if abroad != home.path:
        for name in re.findall(r"{(\w+)}", door.path):
            path = _in_path(door, names, only=name)
            yield msgspec.structs.replace(home, way=f"path: {name}", path=path)
        yield msgspec.structs.replace(home, way="path and header", path=abroad, headers=elsewhere)
    for name in sorted(door.query):
        for value in _in_query(door, name, names):
            path = home.path if door.method == "GET" else abroad
            yield msgspec.structs.replace(home, way=f"query: {name}", path=path, query=home.query | {name: value})
    path = abroad if door.method == "DELETE" else home.path
    for body in _bodies(door, names):
        yield msgspec.structs.replace(home, way="body", path=path, body=body)
        yield msgspec.structs.replace(home, way="key", path=path, body=body, headers={"Idempotency-Key": names.key})
        if "dry_run" in door.query:
            yield msgspec.structs.replace(home, way="dry run", body=body, query=home.query | {"dry_run": "true"})


def _in_path(door: Door, names: Names, *, only: str | None = None) -> str:
    """Return the path with the ids of a workspace, or with the one parameter that is named by its, else by ours."""

    def named(match: re.Match[str]) -> str:
        where = names if only in {None, match[1]} else OURS
        prefixes = {
            "record_id": door.resource.prefix if door.resource else "",
            "user_id": "u",
            "invitation_id": "i",
            "relay_id": "rl",
            "agent_id": "a",
            "token_id": "e" if "/enrolment-tokens/" in door.path else "t",
        }
        if match[1] in BUILD:
            return BUILD[match[1]]
        if match[1] == "workspace_id":
            return where.workspace
        assert match[1] in prefixes, f"say in doors.py what {match[0]} is in {door.path}"
        return where.id(prefixes[match[1]])

    return re.sub(r"{(\w+)}", named, door.path)


def _in_query(door: Door, name: str, names: Names) -> Iterable[str]:
    """Return values of a parameter that name something of a workspace."""
    resource = door.resource
    if name == "cursor":
        return _cursors(door, names)
    known = {
        "at_version": [str(EDITIONS)],
        "since": [str(EDITIONS)],
        "actor": [names.id("u")],
        "record_id": [names.id("s")],
        "q": [names.secret, names.named],
    }
    if name in known:
        return known[name]
    if resource is not None and (field := dict(resource.filters).get(name)):
        value = names.record(resource).get(field, names.secret)
        return [str(value[0] if isinstance(value, list) else value)]
    return [names.secret]


def _cursors(door: Door, names: Names) -> list[str]:
    if door.path.endswith("/changes") and door.resource is not None:
        return [names.cursor("-version", EDITIONS, door.resource.prefix)]
    if door.resource is not None:
        sort = door.resource.sortable[0]
        return [names.cursor(sort, names.record(door.resource)[sort], door.resource.prefix)]
    email = names.cursor("email", f"{names.named}@example.org", "u")
    return [email, names.cursor("-created_at", "2031-01-02T03:04:05Z", "i"), str(EDITIONS)]


def _bodies(door: Door, names: Names) -> Iterator[Any]:
    """Yield bodies that name something of a workspace."""
    resource, end = door.resource, door.path.rpartition("/")[2]
    if resource is None or door.method not in {"POST", "PUT", "PATCH"}:
        if door.body is not None:
            body = names.body(door.body)
            yield body | {"role": "owner"} if "role" in body else body  # whoever asks has to stay what they are
        return
    record_id, known = names.id(resource.prefix), names.known(resource)
    if end == "bulk":
        for step in (
            {"action": "update", "id": record_id, "data": {}},
            {"action": "replace", "id": record_id, "data": known},
            {"action": "update", "id": record_id, "data": known, "version": EDITIONS},
            {"action": "delete", "id": record_id},
            {"action": "create", "id": record_id, "data": known},
        ):
            yield {"operations": [step]}
    elif end == "import":
        yield from ([{"id": record_id, **known}], [known])
    elif end == "revert":
        yield {"version": EDITIONS}
    elif end == "tags" and resource.name == "servers" and door.method == "POST":
        yield {"ids": [record_id], "add": [names.named]}
    elif door.body is not None:
        yield known if door.method != "PATCH" or end == "{record_id}" else names.body(door.body)
