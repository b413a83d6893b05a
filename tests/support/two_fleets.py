"""Two workspaces whose agents and relays send to one ingest, and who tries by which credential to reach the other's."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from tests.support.ingest import HANDSHAKE, SHARED_TOKEN, Enrolled, Ingest
from tests.support.otlp import OtlpRequest
from tests.support.remote_write import node_series, snappy, write_request

Headers = dict[str, str]

THEIRS = "w_theirs"
SECRET = "xq-theirs"
"""In all that only they may read."""

SAMPLE: dict[str, Any] = {"ts": "2026-01-02T03:04:05Z", "boot_id": "boot-1", "seq": 1, "cpu_percent": 12.5}


class Names(msgspec.Struct, frozen=True):
    """What an agent, its server and its workspace are called."""

    agent_id: str
    server_id: str
    workspace_id: str

    @property
    def fields(self) -> dict[str, str]:
        """Fields that name them, wherever fields can be added."""
        return {"id": self.agent_id, **{name: getattr(self, name) for name in self.__struct_fields__}}

    @property
    def headers(self) -> Headers:
        """Headers that name them."""
        return {"X-Workspace": self.workspace_id, "X-Agent": self.agent_id, "X-Server": self.server_id}


NOWHERE = Names("a_nowhere", "s_nowhere", "w_nowhere")
"""What nobody is called."""


class Fleet(msgspec.Struct, frozen=True):
    """A workspace with an agent that has reported, one that was revoked, a relay, and an enrolment token."""

    agent: Enrolled
    revoked: Enrolled
    relay: str
    enrolment: str

    @property
    def names(self) -> Names:
        """What its agent goes by."""
        return Names(self.agent.agent_id, self.agent.server_id, self.agent.workspace_id)


async def settle(ingest: Ingest, workspace: str, word: str) -> Fleet:
    """Make a workspace, where there is none yet, and its fleet; `word` is in all that it says."""
    await ingest.pool.execute(
        "INSERT INTO workspaces (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", workspace, word
    )
    relay, enrolment = f"mr_{word}", f"enrolment-{word}"
    await ingest.add_token(enrolment, uses=5)
    await ingest.pool.execute(
        "UPDATE enrolment_tokens SET workspace_id = $1 WHERE token_hash = $2", workspace, _hash(enrolment)
    )
    for token, expiry in ((relay, "1 day"), (f"{relay}-over", "-1 day")):
        await ingest.pool.execute(
            "INSERT INTO relays (id, workspace_id, name, token_hash, expires_at)"
            " VALUES ($1, $2, $1, $3, now() + $4::text::interval)",
            *(token, workspace, _hash(token), expiry),
        )
    said = {"token": enrolment, "hostname": f"{word}.example.org", "machine_id": word, "name": word}
    agent, revoked = await ingest.enrol(**said), await ingest.enrol(**said)
    assert workspace == agent.workspace_id
    for one in (agent, revoked):
        assert (await ingest.post("handshake", HANDSHAKE | {"inventory": {"word": word}}, one)).is_success
        assert (await ingest.post("metrics", SAMPLE, one)).is_success
    await ingest.pool.execute("UPDATE agent_credentials SET revoked_at = now() WHERE agent_id = $1", revoked.agent_id)
    ingest.clock.advance(10)  # whatever was remembered of it is forgotten
    return Fleet(agent, revoked, relay, enrolment)


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


async def api_token_of(ingest: Ingest, workspace: str) -> str:
    """Return an API token of a member."""
    token = f"mt_{SECRET}"
    await ingest.pool.execute("INSERT INTO users (id, email, password_hash) VALUES ('u_1', 'u@example.org', '')")
    await ingest.pool.execute("INSERT INTO members VALUES ($1, 'u_1', 'owner')", workspace)
    await ingest.pool.execute(
        "INSERT INTO api_tokens (id, workspace_id, user_id, name, scopes, token_hash)"
        " VALUES ('t_1', $1, 'u_1', '', '{read,write,admin}', $2)",
        *(workspace, _hash(token)),
    )
    return token


async def outsiders(ingest: Ingest, theirs: Fleet) -> dict[str, Headers]:
    """Return what those send who may come in nowhere, by who they are."""
    secrets = {
        "who guesses": "guessed",
        "a revoked agent of theirs": theirs.revoked.secret,
        "who has their enrolment token": theirs.enrolment,
        "who has the shared token": SHARED_TOKEN,
        "a member of theirs with an API token": await api_token_of(ingest, THEIRS),
        "a relay of theirs that is over": f"{theirs.relay}-over",
        "a relay that was deleted": "mr_deleted",
    }
    bearers = {who: {"Authorization": f"Bearer {secret}"} for who, secret in secrets.items()}
    return {"nobody": {}, "another scheme": {"Authorization": f"Basic {theirs.agent.secret}"}, **bearers}


def bodies(path: str, names: Names) -> Iterator[tuple[bytes, Headers]]:
    """Yield what can be sent to a door, with all that it takes and with names in every place that takes one.

    A new door is asked for here.
    """
    sample = SAMPLE | {"seq": 2} | names.fields
    json: dict[str, list[Any]] = {
        "/ingest/v1/enroll": [
            {"token": "unknown", "hostname": names.server_id, "machine_id": names.server_id, **names.fields}
        ],
        "/ingest/v1/handshake": [HANDSHAKE | names.fields | {"inventory": names.fields}],
        "/ingest/v1/metrics": [sample, [sample], [SAMPLE | {name: value} for name, value in names.fields.items()]],
        "/ingest/v1/status": [names.fields, names.fields | {"healthy": False}],
        "/ingest/v1/rotate": [names.fields],
        "/ingest/v1/disconnect": [names.fields],
        "/ingest/v1/ws": [names.fields],
    }
    if path == "/ingest/otlp/v1/metrics":
        request = OtlpRequest(host_id=names.server_id, host_name=names.server_id, service_instance_id=names.agent_id)
        request.gauge("system.cpu.load_average.1m", [({}, 1.0)])
        yield request.json, {"Content-Type": "application/json"}
    elif path == "/ingest/prometheus/write":
        yield (
            snappy(write_request(node_series(instance=names.server_id))),
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"},
        )
    else:
        assert path in json, f"say in two_fleets.py what {path} takes"
        for body in json[path]:
            yield msgspec.json.encode(body), {"Content-Type": "application/json"}


_COLUMNS = {
    "workspaces": "*",
    "agent_credentials": "*",
    "enrolment_tokens": "*",
    "relays": "id, name, token_hash, expires_at",
    "inventories": "*",
    "inventory_changes": "*",
}


async def held(ingest: Ingest, workspace: str) -> list[Any]:
    """Return all that is stored of a workspace."""
    found: list[Any] = []
    for table, columns in _COLUMNS.items():
        name = "id" if table == "workspaces" else "workspace_id"
        query = f"SELECT {columns} FROM {table} WHERE {name} = $1 ORDER BY 1, 2, 3"  # noqa: S608  (names of this list)
        found.append(
            await ingest.pool.fetch(query.replace(", 2, 3", "") if table == "workspaces" else query, workspace)
        )
    mark = workspace.encode()
    for key in sorted([key async for key in ingest.redis.scan_iter("*")]):
        kind = await ingest.redis.type(key)
        if kind == b"hash":
            fields = await ingest.redis.hgetall(key)  # type: ignore[misc]  # redis-py types it for both of its clients
            of_theirs = {name: value for name, value in fields.items() if mark in key or mark in name}
            found.append((key, of_theirs) if of_theirs else None)
        elif kind == b"zset":
            found.append(
                (key, [each for each in await ingest.redis.zrange(key, 0, -1, withscores=True) if mark in each[0]])
            )
        elif mark in key:
            found.append(key)
    return [each for each in found if each]
