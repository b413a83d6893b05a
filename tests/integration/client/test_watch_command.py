"""`muster watch` as a person or a script uses it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from muster_client import MusterClient, login
from tests.support.broadcaster import TOKEN, FakeAuthenticator, Producer, broadcasting
from tests.support.installation import installed
from tests.support.scripted_server import scripted_server
from tests.support.topic_history import history_of

WITHIN_S = 20.0


class Command:
    """A running `muster watch`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.stdout = process.stdout
        self._stderr = process.stderr

    async def line(self) -> str:
        """Return the next line."""
        return (await asyncio.wait_for(self.stdout.readline(), WITHIN_S)).decode()

    async def complaint(self) -> str:
        """Return the next line of stderr."""
        return (await asyncio.wait_for(self._stderr.readline(), WITHIN_S)).decode()

    async def until_said(self, words: str) -> None:
        """Wait for a line of stderr with these words."""
        while words not in (complaint := await self.complaint()):
            assert complaint, f"it has ended without {words!r}"

    async def ended(self) -> tuple[int, str]:
        """Wait for the end; returns the exit status, and what was still said on stderr."""
        said = await asyncio.wait_for(self._stderr.read(), WITHIN_S)
        return await asyncio.wait_for(self.process.wait(), WITHIN_S), said.decode()

    async def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C, and wait for the end."""
        self.process.send_signal(signal.SIGINT)
        return await self.ended()


def plain() -> dict[str, str]:
    """Return the environment without what would decide for the command, or about how it prints."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MUSTER_") and name != "PYTHONUNBUFFERED"
    }


@asynccontextmanager
async def watching(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Command]:
    """Run the command; it is ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "stack.cli", "watch", *arguments),
        env={**plain(), **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Command(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_each_change_is_a_line_until_ctrl_c(redis: Redis, producer: Producer, people: FakeAuthenticator) -> None:
    await producer.put("s_1", name="öne\x9b")
    async with (
        broadcasting(redis, people) as broadcaster,
        watching("servers", "--url", broadcaster.url, environment={"MUSTER_TOKEN": TOKEN}) as command,
    ):
        assert 'created   s_1  version 1  {"name":"öne\\u009b"}\n' == await command.line()
        await producer.put("s_1", name="two")
        assert 'updated   s_1  version 2  {"name":"two"}\n' == await command.line()
        await producer.delete("s_1")
        assert "deleted   s_1  version 3\n" == await command.line()


async def test_a_script_goes_on_from_the_position_of_the_last_line(
    redis: Redis, producer: Producer, people: FakeAuthenticator
) -> None:
    await producer.put("s_1", n=1)
    async with broadcasting(redis, people) as broadcaster:
        flags = ("servers", "--json", "--url", broadcaster.url)
        async with watching(*flags, environment={"MUSTER_TOKEN": TOKEN}) as command:
            first = json.loads(await command.line())
        expected = {"topic": "servers", "action": "created", "id": "s_1", "version": 1, "data": {"n": 1}}
        assert {**expected, "position": "1-1"} == first
        await producer.put("s_2", n=2)
        async with watching(*flags, "--since", first["position"], environment={"MUSTER_TOKEN": TOKEN}) as command:
            second = json.loads(await command.line())
        assert ("s_2", "created", "1-2") == (second["id"], second["action"], second["position"])
        async with watching(*flags, "--since", "1-999999", environment={"MUSTER_TOKEN": TOKEN}) as command:
            assert {"s_1", "s_2"} == {json.loads(await command.line())["id"] for _ in range(2)}
            await command.until_said("all records follow")


async def test_a_reconnection_is_told_on_stderr() -> None:
    history = history_of([("a", False)])
    async with (
        scripted_server() as server,
        watching("servers", "--delivery", "each", "--url", server.url, environment={"MUSTER_TOKEN": "t"}) as command,
    ):
        visit = await server.visit()
        await visit.let_in()
        assert "each" == (await visit.expect("subscribe"))["delivery"]
        await visit.say(*history.snapshot())
        assert (await command.line()).startswith("created   a  version 1")
        await visit.close(4503, "stopping")
        assert (await command.complaint()).startswith("muster: stopping; trying again in 0.")
        visit = await server.visit()
        await visit.let_in()
        assert "muster: connected again\n" == await command.complaint()
        assert (130, "") == await command.interrupt()


async def test_a_reader_that_has_gone_ends_it_quietly() -> None:
    history = history_of([("a", False)])
    read, write = os.pipe()
    async with scripted_server() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "stack.cli", "watch", "servers", "--url", server.url),
            env={**plain(), "MUSTER_TOKEN": "t"},
            stdout=write,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(write)
        visit = await server.visit()
        await visit.let_in()
        await visit.expect("subscribe")
        await visit.say(*history.snapshot())
        await asyncio.wait_for(asyncio.to_thread(os.read, read, 1), WITHIN_S)
        os.close(read)
        history.edit("a", is_deleted=True)
        await visit.say(*history.after(1))
        _, said = await asyncio.wait_for(process.communicate(), WITHIN_S)
    assert (0, b"") == (process.returncode, said)


async def test_what_cannot_work_is_one_line(redis: Redis, people: FakeAuthenticator, tmp_path: Path) -> None:
    async with broadcasting(redis, people) as broadcaster:
        url = ("--url", broadcaster.url)
        for arguments, environment, complaint in (
            (("servers", *url), {"MUSTER_TOKEN": "wrong"}, "the token is not accepted: the token is unknown"),
            (("nothing", *url), {"MUSTER_TOKEN": TOKEN}, "there is no such topic (unknown_topic)"),
            (("servers", *url), {"MUSTER_EMAIL": "a@b.c"}, "set MUSTER_TOKEN, or MUSTER_EMAIL and MUSTER_PASSWORD"),
            (("servers", "--url", "nowhere"), {"MUSTER_TOKEN": TOKEN}, "'nowhere' is no address"),
            (("servers", "--data-dir", str(tmp_path)), {}, f"no Muster is ready in {tmp_path}"),
        ):
            async with watching(*arguments, environment=environment) as command:
                status, said = await command.ended()
            assert (1, 1) == (status, said.count("\n")), said
            assert said.startswith(f"muster: {complaint}")


async def test_a_local_installation_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    generated = {"MUSTER_ADMIN_EMAIL": "", "MUSTER_ADMIN_PASSWORD": ""}
    async with installed(tmp_path, "--no-agent", environment=generated) as installation:
        await installation.enrol("one")
        folder = ("--data-dir", str(tmp_path))
        async with watching("servers", "--json", *folder) as command:
            assert "one" == json.loads(await command.line())["data"]["hostname"]
        async with watching("servers", *folder, environment={"MUSTER_EMAIL": "x", "MUSTER_PASSWORD": "x"}) as command:
            status, said = await command.ended()
            assert (1, 1) == (status, said.count("\n")), said
            assert "/api/v1/auth/login answers 401: " in said

        source = login(installation.ready.url, "admin@localhost", (tmp_path / "admin-password").read_text().strip())
        kept = []
        for _ in range(2):
            await source()
            kept.append(source._refresh_token)
        source._refresh_token = kept[0]  # which is spent, and ends the session
        await source()
        assert 3 == len({*kept, source._refresh_token})
        async with MusterClient(installation.ready.url, token=source) as muster:
            topic = muster.topic("servers")
            await topic.until_live()
            assert ({"one"}, True) == ({item.data["hostname"] for item in topic.items.values()}, await topic.check())
