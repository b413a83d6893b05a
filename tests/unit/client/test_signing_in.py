"""The Python client's way to a token, against a server whose answers are written in the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from muster_client import RetryLater, SignedOut, login


def pair(number: int) -> bytes:
    return json.dumps({"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "newer": 1}).encode()


class Door:
    """An HTTP server that gives its answers in order; `asked` has the path and the body of each request."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self._answers = list(answers)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            size = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            self.asked.append((head.split(" ")[1], json.loads(await reader.readexactly(size))))
            status, body = self._answers.pop(0)
            extra = b"Retry-After: 7\r\nLocation: /elsewhere\r\n"
            head_bytes = b"HTTP/1.1 %d Said\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n"
            writer.write(head_bytes % (status, extra, len(body)) + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def door(*answers: tuple[int, bytes]) -> AsyncIterator[Door]:
    at = Door(*answers)
    async with await asyncio.start_server(at.answer, "127.0.0.1", 0) as server:
        at.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield at


LOGIN = ("/api/v1/auth/login", {"email": "me@example.org", "password": "secret"})


async def test_the_first_token_is_of_a_login_and_the_next_of_its_renewal() -> None:
    async with door((200, pair(1)), (200, pair(2)), (200, pair(3))) as at:
        source = login(at.url, "me@example.org", "secret")
        assert ["access-1", "access-2", "access-3"] == [await source() for _ in range(3)]
    renewals = [("/api/v1/auth/refresh", {"refresh_token": f"refresh-{number}"}) for number in (1, 2)]
    assert [LOGIN, *renewals] == at.asked


async def test_a_session_that_has_ended_is_followed_by_another_login() -> None:
    async with door((200, pair(1)), (401, b"{}"), (200, pair(2))) as at:
        source = login(at.url, "me@example.org", "secret")
        assert ["access-1", "access-2"] == [await source() for _ in range(2)]
    assert [LOGIN, LOGIN] == [at.asked[0], at.asked[2]]


async def test_a_renewal_whose_answer_was_lost_is_not_tried_again() -> None:
    async with door((200, pair(1)), (503, b""), (200, pair(2))) as at:
        source = login(at.url, "me@example.org", "secret")
        await source()
        with pytest.raises(RetryLater):
            await source()
        assert "access-2" == await source()
    assert LOGIN == at.asked[2]


@pytest.mark.parametrize("status", [400, 401, 403, 422])
async def test_a_wrong_password_is_final(status: int) -> None:
    async with door((status, b'{"detail":"the password is wrong"}')) as at:
        with pytest.raises(SignedOut, match=rf"{status}: the password is wrong"):
            await login(at.url, "me@example.org", "wrong")()


@pytest.mark.parametrize("status", [302, 307, 429, 500, 503])
async def test_a_passing_fault_is_tried_again_when_the_server_says(status: int) -> None:
    async with door((status, b"no JSON")) as at:
        with pytest.raises(RetryLater) as fault:
            await login(at.url, "me@example.org", "secret")()
    assert (7, 1) == (fault.value.retry_after_s, len(at.asked))


async def test_an_answer_without_tokens_is_tried_again() -> None:
    async with door((200, b"<html>")) as at:
        with pytest.raises(RetryLater, match="no pair of tokens"):
            await login(at.url, "me@example.org", "secret")()


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n",
    ],
)
async def test_an_answer_that_is_no_http_or_breaks_off_is_tried_again(answer: bytes) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        with pytest.raises(RetryLater):
            await login(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "me@example.org", "secret")()


async def test_a_server_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        await login("http://127.0.0.1:1", "me@example.org", "secret")()


async def test_a_server_that_does_not_answer_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster_client.signing_in.ANSWER_WITHIN_S", 0.05)
    silent = asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        with pytest.raises(TimeoutError):
            await login(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "me@example.org", "secret")()
        silent.set()
