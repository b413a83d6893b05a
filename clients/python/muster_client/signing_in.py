"""A source of tokens that signs in with an email address and a password, over HTTP by the standard library."""

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from typing import TypeVar

import msgspec

from muster_client.addresses import http_url, is_loopback
from muster_client.errors import RetryLater, SignedOut

ANSWER_WITHIN_S = 10.0
_MAX_ANSWER_BYTES = 65_536
_FINAL = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}

_T = TypeVar("_T")


class _TokenPair(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""
    title: str = ""


class Login:
    """Gives access tokens: calling it renews the session, or opens one with the password. See `login`."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self._login_url = http_url(url, "/api/v1/auth/login")
        self._refresh_url = http_url(url, "/api/v1/auth/refresh")
        self._credentials = {"email": email, "password": password}
        self._refresh_token: str | None = None
        self._turn = asyncio.Lock()

    async def __call__(self) -> str:
        """Return a fresh access token; raises SignedOut, RetryLater."""
        async with self._turn:
            pair = await self._renew() or await self._post(self._login_url, self._credentials)
            self._refresh_token = pair.refresh_token
        return pair.access_token

    async def _renew(self) -> _TokenPair | None:
        # a refresh token is good once: it is gone even when the answer does not arrive
        token, self._refresh_token = self._refresh_token, None
        if token is None:
            return None
        with suppress(SignedOut):
            return await self._post(self._refresh_url, {"refresh_token": token})
        return None

    async def _post(self, url: str, body: dict[str, str]) -> _TokenPair:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, answer, retry_after_s = await _in_thread(lambda: _post(url, msgspec.json.encode(body)))
        except HTTPException as error:
            raise RetryLater(f"{url} answers with what is no whole answer: {error!r}") from error
        try:
            if status == HTTPStatus.OK:
                return msgspec.json.decode(answer, type=_TokenPair)
        except msgspec.DecodeError as error:
            raise RetryLater(f"{url} answers with what is no pair of tokens") from error
        said = f"{url} answers {status}{_detail(answer)}"
        if status in _FINAL:
            raise SignedOut(said)
        raise RetryLater(said, retry_after_s)


def login(url: str, email: str, password: str) -> Login:
    """Return a source of tokens for `MusterClient`, for a user of the server at `url`; raises ValueError."""
    return Login(url, email, password)


def _post(url: str, body: bytes) -> tuple[int, bytes, float | None]:
    # proxies of the environment lead to other machines only
    handlers = [urllib.request.ProxyHandler({})] if is_loopback(url) else []
    opener = urllib.request.build_opener(*handlers, _NoRedirects())
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - http or https
    try:
        with opener.open(request, timeout=ANSWER_WITHIN_S) as answer:
            return answer.status, answer.read(_MAX_ANSWER_BYTES), None
    except urllib.error.HTTPError as error:
        with error:
            after = error.headers.get("Retry-After", "")
            return error.code, error.read(_MAX_ANSWER_BYTES), float(after) if after.isdecimal() else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A password is for the address that it was given for."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _detail(answer: bytes) -> str:
    try:
        problem = msgspec.json.decode(answer, type=_Problem)
    except msgspec.DecodeError:
        return ""
    detail = problem.detail or problem.title
    return f": {detail}" if detail else ""


async def _in_thread(call: Callable[[], _T]) -> _T:
    """Run a call that waits; unlike with `asyncio.to_thread`, nobody has to wait for it when it is given up."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]  # there is a result where there is no error
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = call()
        except Exception as raised:  # noqa: BLE001 - it is raised by who awaits
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="muster-login", daemon=True).start()
    return await outcome
