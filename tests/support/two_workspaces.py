"""Two workspaces of one partition, full of records that tell on whoever shows them; and one that exists nowhere.

What an intruder may know of a workspace and names (ids, unique values, e-mail addresses) has its word `named` in it,
what they cannot know its word `secret`. Those of the one that exists nowhere are as long as those of the one that
others have, so that answers about either are the same but for the words.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import msgspec
from msgspec import inspect

from services.api.records.cursor import Cursor, encode_cursor
from shared.audit import Origin
from shared.names import Topic, new_id, partition_of
from shared.operation import Draft, Operation
from shared.resources import RESOURCES, Resource
from shared.tokens import hash_token
from tests.support.api import WORKSPACE, Api

SECRET_NUMBER = 734291
"""The value of each numeric field of others that takes it."""

EDITIONS = 3
"""How many changes each record has."""


class Names(msgspec.Struct, frozen=True):
    """What a workspace is called, and what is in it."""

    workspace: str
    named: str
    secret: str
    number: int = SECRET_NUMBER

    def id(self, prefix: str) -> str:
        """Return the id of what is there of a kind."""
        return f"{prefix}_{self.named}"

    @property
    def key(self) -> str:
        """The Idempotency-Key of its people."""
        return f"key-{self.named}"

    def cursor(self, sort: str, value: object, prefix: str) -> str:
        """Return a cursor of one of its lists."""
        return encode_cursor(Cursor(sort, value, self.id(prefix)))

    def record(self, resource: Resource) -> dict[str, Any]:
        """Return the fields of its record of a resource: unique ones are `named`, all others secret."""
        fields = msgspec.structs.fields(resource.model)
        texts = {field.name: self.named if field.name in resource.unique else self.secret for field in fields}
        return _filled(resource.model, texts, self.number)

    def known(self, resource: Resource) -> dict[str, Any]:
        """Return what an intruder writes, to run into its record: the unique fields, and those that are required."""
        record = self.body(resource.model)
        required = {field.name for field in msgspec.structs.fields(resource.model) if field.required}
        return {name: record[name] for name in resource.columns if name in required | {*resource.unique}}

    def body(self, kind: type[msgspec.Struct]) -> dict[str, Any]:
        """Return any fields for a body of this type that name the workspace's things."""
        texts = {field.name: self.named for field in msgspec.structs.fields(kind)}
        return _filled(kind, texts, 1)

    def disclosures(self) -> list[bytes]:
        """Return what no answer to others may contain: the secret, however it is written, and the number."""
        return [self.secret.encode(), *_in_base64(self.secret), str(self.number).encode()]


def _neighbour(named: str) -> str:
    """Return the id of a workspace in the partition of ours, where a leak is most likely."""
    candidates = (f"w_{named}_{number:03}" for number in count())
    return next(each for each in candidates if partition_of(each) == partition_of(WORKSPACE))


OURS = Names(WORKSPACE, "xqnamedoursqx", "xqsecretoursqx", 1)
THEIRS = Names(_neighbour("xqnamedhereqx"), "xqnamedhereqx", "xqsecrethereqx")
NOWHERE = Names(_neighbour("xqnamednoneqx"), "xqnamednoneqx", "xqsecretnoneqx")


def as_of_theirs(answer: bytes) -> bytes:
    """Return what was said of the workspace that exists nowhere, as it would be said of the other."""
    words = ((NOWHERE.workspace, THEIRS.workspace), (NOWHERE.named, THEIRS.named), (NOWHERE.secret, THEIRS.secret))
    for nowhere, there in words:
        answer = answer.replace(nowhere.encode(), there.encode())
    return answer


async def settle(api: Api, names: Names) -> None:
    """Make a workspace with an owner whom others may know of, one whom they may not, and tokens and an invitation."""
    pool, secret = api.pool, (names.secret, hash_token(names.secret))
    of_both = "INSERT INTO users (id, email, password_hash) VALUES ('u_double', 'double@example.org', '')"
    await pool.execute(f"{of_both} ON CONFLICT DO NOTHING")
    workspace = "INSERT INTO workspaces (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = $2"
    await pool.execute(workspace, names.workspace, names.secret)
    for name in (names.named, names.secret):
        user = "INSERT INTO users SELECT $1, $2, password_hash FROM users WHERE id = 'u_owner'"
        await pool.execute(user, f"u_{name}", f"{name}@example.org")
    for name in (names.named, names.secret, "double"):
        await pool.execute("INSERT INTO members VALUES ($1, $2, 'owner')", names.workspace, f"u_{name}")
    await pool.execute(
        "INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash) "
        "VALUES ($1, $2, $3, $4, '{read}', $5)",
        *(names.id("t"), names.workspace, names.id("u"), *secret),
    )
    await pool.execute(
        "INSERT INTO invitations (id, workspace_id, email, role, token_hash, expires_at) "
        "VALUES ($1, $2, $3 || '@example.org', 'viewer', $4, now() + interval '1 day')",
        *(names.id("i"), names.workspace, *secret),
    )
    await pool.execute(
        "INSERT INTO enrolment_tokens (id, workspace_id, name, token_hash, uses_left, expires_at) "
        "VALUES ($1, $2, $3, $4, 7, now() + interval '1 day')",
        *(names.id("e"), names.workspace, *secret),
    )
    await pool.execute(
        "INSERT INTO relays (id, workspace_id, name, token_hash) VALUES ($1, $2, $3, $4)",
        *(names.id("rl"), names.workspace, *secret),
    )


async def fill(api: Api, names: Names) -> None:
    """Put a record of every resource there, with a history and an audit trail; return once all is stored."""
    for resource in RESOURCES.values():
        for edition in range(EDITIONS):
            version = await edit(api, names, resource, edition)
        await api.settled(resource.name, version, names.workspace)


async def edit(api: Api, names: Names, resource: Resource, edition: int) -> int:
    """Put the record of a resource, a little different each time, and return the topic's version."""
    fields = names.record(resource)
    last = next(reversed([name for name, value in fields.items() if isinstance(value, int | float)]), None)
    if last is not None and edition < EDITIONS - 1:
        fields[last] = edition + 1
    data = msgspec.json.encode(msgspec.convert(fields, resource.model))
    operation = Operation(
        topic=Topic(names.workspace, resource.name),
        drafts=(Draft(id=names.id(resource.prefix), action="put", data=data, unique=resource.claims(data)),),
        actor=f"u_{names.secret}",
        id=new_id("o"),
        origin=Origin(names.secret, names.secret),
    )
    return (await api.log.append(operation)).version


def _filled(kind: type[msgspec.Struct], texts: dict[str, str], number: int) -> dict[str, Any]:
    """Return the fields of a struct that take one of the values meant for them."""
    values = {}
    for field in msgspec.structs.fields(kind):
        candidates = _values(inspect.type_info(field.type), texts[field.name], number)
        fitting = next((value for value in candidates if _fits(value, field.type)), None)
        if fitting is not None:
            values[field.encode_name] = fitting
    return values


def _values(kind: inspect.Type, text: str, number: int) -> Iterator[Any]:
    """Yield values of a type, those that tell on who shows them before others."""
    match kind:
        case inspect.Metadata():
            yield from _values(kind.type, text, number)
        case inspect.UnionType():
            for each in kind.types:
                yield from _values(each, text, number)
        case inspect.VarTupleType() | inspect.ListType():
            yield from ([value] for value in _values(kind.item_type, text, number))
        case inspect.DictType():
            yield from ({text: value} for value in _values(kind.value_type, text, number))
        case inspect.StructType():
            yield _filled(kind.cls, {field.name: text for field in kind.fields}, number)
        case _:
            yield from _plain_values(kind, text, number)


def _plain_values(kind: inspect.Type, text: str, number: int) -> Iterable[Any]:
    match kind:
        case inspect.StrType():
            return (text, f"{text}@example.org", f"s_{text}")
        case inspect.IntType() | inspect.FloatType():
            return (number, 1, 3600)
        case inspect.DateTimeType():
            return ("2031-01-02T03:04:05Z",)
        case inspect.LiteralType():
            return kind.values
        case _:
            return ()


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401  (any type that msgspec knows)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _in_base64(text: str) -> list[bytes]:
    """Return what is seen of a text in base64, wherever it begins in what was encoded."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text.encode())
        found.append(encoded[4 if before else 0 : (before + len(text)) // 3 * 4])
    return found
