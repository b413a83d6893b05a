"""Websites over Socket.IO, REST and PostgreSQL, as an existing front end uses them.

    python -m tests.acceptance.websites

Starts an installation, goes through the steps in order, and prints each with the checks that it made; ends with the
first that fails. What the journal holds is looked up in PostgreSQL.
"""

import asyncio
import datetime as dt
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import socketio

from services.worker.retention import forget_events
from shared.settings import Journal
from tests.support.installation import Installation, installed

WITHIN_S = 15.0
REPLAYED = 500
"""How many events are replayed at most."""

Messages = asyncio.Queue[tuple[str, Any]]


class FrontEnd:
    """A Socket.IO client, and what it was told of websites."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.messages: Messages = asyncio.Queue()
        for event in ("connected", "websites:initial", "websites:update", "error"):
            self.socket.on(event, self._note(event))

    def _note(self, event: str) -> Callable[[Any], Awaitable[None]]:
        async def note(data: Any) -> None:  # noqa: ANN401  (JSON)
            await self.messages.put((event, data))

        return note

    async def next(self, event: str) -> Any:  # noqa: ANN401  (JSON)
        """Return what comes next, which has to be this event."""
        async with asyncio.timeout(WITHIN_S):
            came, data = await self.messages.get()
        assert event == came, f"{came} came instead of {event}: {data}"
        return data

    async def ask(self, last_event_id: int | None = None) -> None:
        """Ask for the websites."""
        await self.socket.emit("request:websites", None if last_event_id is None else {"lastEventId": last_event_id})


class Acceptance:
    """The steps, in order; each leaves behind what the next one begins with."""

    def __init__(self, installation: Installation, database: asyncpg.Connection) -> None:
        self.installation = installation
        self.database = database
        self.workspace = ""
        self.website = ""
        self.last_event_id = 0
        self.sql_checks = 0

    async def sql(self, expected: object, statement: str, *arguments: object) -> None:
        """Hold one value in PostgreSQL against what it has to be; `$1` is the workspace."""
        found = await self.database.fetchval(statement, self.workspace, *arguments)
        if isinstance(found, bytes):
            found = msgspec.json.decode(found)
        assert expected == found, f"{statement}: {found!r} instead of {expected!r}"
        self.sql_checks += 1

    async def api(self, method: str, path: str = "", **more: Any) -> httpx.Response:  # noqa: ANN401  (as httpx)
        """Send a request as the administrator; its answer has to be a success."""
        headers = {"Authorization": f"Bearer {await self.installation.token()}", "X-Workspace": self.workspace}
        answer = await self.installation.client.request(method, f"/api/v1/websites{path}", headers=headers, **more)
        assert answer.is_success, answer.text
        return answer

    @asynccontextmanager
    async def front_end(self, token: str | None = None) -> AsyncIterator[FrontEnd]:
        """Connect with a token, the administrator's unless another is given."""
        client = FrontEnd()
        auth = {"token": await self.installation.token() if token is None else token}
        await client.socket.connect(self.installation.ready.url, auth=auth, wait_timeout=WITHIN_S)
        try:
            assert {"ok": True} == await client.next("connected")
            yield client
        finally:
            await client.socket.disconnect()

    async def without_a_token_nobody_connects(self) -> None:
        """Without a token, and with one that is none, the handshake is refused."""
        for auth in (None, {}, {"token": ""}, {"token": "nonsense"}, {"token": 5}):
            socket = socketio.AsyncClient(reconnection=False)
            try:
                await socket.connect(self.installation.ready.url, auth=auth, wait_timeout=WITHIN_S)
            except socketio.exceptions.ConnectionError:
                continue
            await socket.disconnect()
            raise AssertionError(f"{auth} was let in")

    async def with_a_token_one_is_connected(self) -> None:
        """With a valid token it says `connected`."""
        async with self.front_end():
            pass
        self.workspace = await self.database.fetchval("SELECT id FROM workspaces")
        await self.sql(0, "SELECT count(*) FROM websites WHERE workspace_id = $1")
        await self.sql(0, "SELECT count(*) FROM ws_events WHERE workspace_id = $1 AND topic = 'websites'")

    async def the_first_answer_is_the_whole_list(self) -> None:
        """Give a client that knows nothing all websites."""
        created = await self.api("POST", json={"primary_domain": "one.example", "line_group": "north"})
        self.website = created.json()["id"]
        async with self.front_end() as client:
            await client.ask()
            initial = await client.next("websites:initial")
        assert {"items", "total", "version", "lastEventId"} == set(initial)
        assert (1, 1, 1) == (initial["total"], initial["version"], initial["lastEventId"])
        (item,) = initial["items"]
        shown = {"website_id", "primary_domain", "cname", "line_group", "line_group_id", "https_enabled", "status"}
        assert shown <= set(item)
        assert (self.website, "one.example", "north") == (
            item["website_id"],
            item["primary_domain"],
            item["line_group"],
        )
        await self.sql("one.example", "SELECT primary_domain FROM websites WHERE workspace_id = $1")
        await self.sql(1, "SELECT version FROM topics WHERE workspace_id = $1 AND resource = 'websites'")

    async def an_addition_is_broadcast(self) -> None:
        """Everyone hears of a website that is added."""
        async with self.front_end() as one, self.front_end() as two:
            for client in (one, two):
                await client.ask()
                await client.next("websites:initial")
            added = (await self.api("POST", json={"primary_domain": "two.example"})).json()
            for client in (one, two):
                update = await client.next("websites:update")
                assert {"eventId", "type", "data"} == set(update)
                assert (2, "add") == (update["eventId"], update["type"])
                assert (added["id"], "two.example") == (
                    update["data"]["website_id"],
                    update["data"]["primary_domain"],
                )
        await self.sql("add", _EVENT.format("event_type"), 2)
        await self.sql(added["id"], _EVENT.format("payload->>'website_id'"), 2)

    async def a_change_is_broadcast(self) -> None:
        """Everyone hears of a website that is changed, and gets the whole of it."""
        async with self.front_end() as client:
            await client.ask()
            await client.next("websites:initial")
            await self.api("PATCH", f"/{self.website}", json={"cname": "lb.example", "https_enabled": False})
            update = await client.next("websites:update")
        assert (3, "update", "one.example", "lb.example", False) == (
            update["eventId"],
            update["type"],
            update["data"]["primary_domain"],
            update["data"]["cname"],
            update["data"]["https_enabled"],
        )
        await self.sql("update", _EVENT.format("event_type"), 3)
        await self.sql("lb.example", _EVENT.format("payload->>'cname'"), 3)
        await self.sql("north", _EVENT.format("payload->>'line_group'"), 3)
        await self.sql(False, _EVENT.format("(payload->'https_enabled')::boolean"), 3)  # noqa: FBT003  (a value)

    async def a_deletion_is_broadcast(self) -> None:
        """Everyone hears of a website that is deleted."""
        async with self.front_end() as client:
            await client.ask()
            await client.next("websites:initial")
            await self.api("DELETE", f"/{self.website}")
            update = await client.next("websites:update")
        assert (4, "delete", self.website) == (update["eventId"], update["type"], update["data"]["website_id"])
        await self.sql("delete", _EVENT.format("event_type"), 4)
        await self.sql(self.website, _EVENT.format("payload->>'website_id'"), 4)
        await self.sql(1, "SELECT count(*) FROM websites WHERE workspace_id = $1")

    async def what_was_missed_is_replayed(self) -> None:
        """After an old id exactly what was missed comes, in order, then what happens next."""
        async with self.front_end() as client:
            await client.ask(1)
            missed = [await client.next("websites:update") for _ in range(3)]
            assert [(2, "add"), (3, "update"), (4, "delete")] == [(m["eventId"], m["type"]) for m in missed]
            await self.api("POST", json={"primary_domain": "three.example"})
            assert 5 == (await client.next("websites:update"))["eventId"]
        self.last_event_id = 5

    async def who_has_missed_nothing_hears_only_what_is_new(self) -> None:
        """After the newest id nothing comes until something happens."""
        async with self.front_end() as client:
            await client.ask(self.last_event_id)
            await self.api("POST", json={"primary_domain": "four.example"})
            assert 6 == (await client.next("websites:update"))["eventId"]
        self.last_event_id = 6

    async def an_id_that_was_never_given_out_leads_to_the_whole_list(self) -> None:
        """After an id of the future the whole list comes."""
        async with self.front_end() as client:
            await client.ask(1_000_000)
            assert 6 == (await client.next("websites:initial"))["lastEventId"]

    async def too_many_missed_events_lead_to_the_whole_list(self) -> None:
        """After more events than are replayed the whole list comes; after as many as are, the events do."""
        operations = [{"action": "create", "data": {"primary_domain": f"n{n}.example"}} for n in range(REPLAYED + 1)]
        await self.api("POST", "/bulk", json={"operations": operations})
        newest = self.last_event_id + REPLAYED + 1
        async with self.front_end() as client:
            await client.ask(self.last_event_id)
            assert newest == (await client.next("websites:initial"))["lastEventId"]
        async with self.front_end() as client:
            await client.ask(self.last_event_id + 1)
            missed = [await client.next("websites:update") for _ in range(REPLAYED)]
        assert list(range(self.last_event_id + 2, newest + 1)) == [update["eventId"] for update in missed]
        self.last_event_id = newest
        await self.sql(newest, "SELECT max(id) FROM ws_events WHERE workspace_id = $1 AND topic = 'websites'")
        await self.sql(newest, "SELECT count(*) FROM ws_events WHERE workspace_id = $1 AND topic = 'websites'")

    async def every_event_has_one_of_three_types(self) -> None:
        """Find additions, changes and deletions in the journal, and nothing else."""
        types = "SELECT string_agg(DISTINCT event_type, ' ') FROM ws_events WHERE workspace_id = $1"
        await self.sql("add delete update", types)
        unknown = (
            "SELECT count(*) FROM ws_events WHERE workspace_id = $1 AND event_type NOT IN ('add', 'update', 'delete')"
        )
        await self.sql(0, unknown)

    async def every_payload_is_a_website(self) -> None:
        """Find payloads in the form of what is sent, and beside them who did it, and when."""
        events = "SELECT count(*) FROM ws_events WHERE workspace_id = $1 AND topic = 'websites' AND "
        await self.sql(0, f"{events} NOT payload ? 'website_id'")
        fields = ("primary_domain", "cname", "line_group", "line_group_id", "https_enabled", "status")
        names = ", ".join(f"'{field}'" for field in fields)
        await self.sql(0, f"{events} event_type <> 'delete' AND NOT payload ?& ARRAY[{names}]")
        await self.sql(0, f"{events} (actor = '' OR created_at > now() OR created_at < now() - interval '1 hour')")

    async def a_replay_is_found_by_its_index(self) -> None:
        """PostgreSQL finds the events of a replay by the primary key, without reading others."""
        await self.database.execute("ANALYZE ws_events")
        query = (
            "SELECT * FROM ws_events WHERE workspace_id = $1 AND topic = 'websites' AND id > 500 ORDER BY id LIMIT 500"
        )
        plan = "\n".join(row[0] for row in await self.database.fetch(f"EXPLAIN {query}", self.workspace))
        assert "ws_events_pkey" in plan, plan
        assert "Seq Scan" not in plan, plan
        self.sql_checks += 1

    async def old_events_are_let_go_but_for_those_that_serve_a_replay(self) -> None:
        """Retention leaves the newest events, and the whole list comes after an id that it has not left."""
        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=8)
        pool = await asyncpg.create_pool(self.installation.ready.database_url, min_size=1, max_size=1)
        try:
            await forget_events(pool, Journal(), later)
        finally:
            await pool.close()
        floor = await self.database.fetchval(
            "SELECT journal_floor FROM topics WHERE workspace_id = $1 AND resource = 'websites'", self.workspace
        )
        assert 0 < floor <= self.last_event_id - REPLAYED, floor
        await self.sql(
            self.last_event_id - floor,
            "SELECT count(*) FROM ws_events WHERE workspace_id = $1 AND topic = 'websites' AND id > $2",
            floor,
        )
        async with self.front_end() as client:
            await client.ask(1)
            assert self.last_event_id == (await client.next("websites:initial"))["lastEventId"]
        async with self.front_end() as client:
            await client.ask(self.last_event_id - 3)
            missed = [await client.next("websites:update") for _ in range(3)]
        assert self.last_event_id == missed[-1]["eventId"]

    async def users_of_other_workspaces_see_nothing(self) -> None:
        """Show nothing of this to a user of another workspace, however they ask."""
        headers = {"Authorization": f"Bearer {await self.installation.token()}"}
        http = self.installation.client
        other = (await http.post("/api/v1/workspaces", json={"name": "Other"}, headers=headers)).json()["id"]
        body = {"email": "other@example.org", "role": "owner"}
        invited = await http.post(f"/api/v1/workspaces/{other}/invitations", json=body, headers=headers)
        accepted = {"token": invited.json()["token"], "password": "another long password"}
        assert (await http.post("/api/v1/invitations/accept", json=accepted)).is_success
        login = {"email": body["email"], "password": accepted["password"]}
        token = (await http.post("/api/v1/auth/login", json=login)).json()["access_token"]
        async with self.front_end(token) as client:
            await client.ask()
            initial = await client.next("websites:initial")
            assert ([], 0, 0) == (initial["items"], initial["total"], initial["lastEventId"])
            await self.api("POST", json={"primary_domain": "unseen.example"})
            await client.socket.emit("request:websites", {"workspace": self.workspace})
            refused = await client.next("error")
        assert "forbidden" == refused["code"]

    @property
    def steps(self) -> list[Callable[[], Awaitable[None]]]:
        """The steps, in order."""
        return [
            self.without_a_token_nobody_connects,
            self.with_a_token_one_is_connected,
            self.the_first_answer_is_the_whole_list,
            self.an_addition_is_broadcast,
            self.a_change_is_broadcast,
            self.a_deletion_is_broadcast,
            self.what_was_missed_is_replayed,
            self.who_has_missed_nothing_hears_only_what_is_new,
            self.an_id_that_was_never_given_out_leads_to_the_whole_list,
            self.too_many_missed_events_lead_to_the_whole_list,
            self.every_event_has_one_of_three_types,
            self.every_payload_is_a_website,
            self.a_replay_is_found_by_its_index,
            self.old_events_are_let_go_but_for_those_that_serve_a_replay,
            self.users_of_other_workspaces_see_nothing,
        ]


_EVENT = "SELECT {} FROM ws_events WHERE workspace_id = $1 AND topic = 'websites' AND id = $2"


async def accept(installation: Installation) -> tuple[int, int]:
    """Go through all steps; returns how many there were, and how many values of PostgreSQL were checked."""
    async with installation.database() as database:
        acceptance = Acceptance(installation, database)
        for number, step in enumerate(acceptance.steps, 1):
            before = acceptance.sql_checks
            await step()
            name, checks = step.__name__.replace("_", " "), acceptance.sql_checks - before
            print(f"{number:2} {name}" + (f" ({checks} in SQL)" if checks else ""), flush=True)
    return len(acceptance.steps), acceptance.sql_checks


async def main() -> None:
    """Go through the steps over an installation of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with installed(Path(folder) / "muster", "--no-agent") as installation:
            steps, checks = await accept(installation)
    print(f"{steps} steps, {checks} checks in SQL: all hold")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
