"""Speaks ingest's HTTP interface, one request at a time; every failure becomes an error of the agent's tree."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping, Sequence

import httpx

from muster_agent import __version__, answers
from muster_agent.answers import Answer, Handshake, Rejection
from muster_agent.credential import Credential
from muster_agent.errors import EnrolmentRefused, Unavailable

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
# Longer than the default interval, so that a connection (and its TLS handshake) serves many samples.
KEEP_ALIVE_S = 60.0

# The server closed the connection while it was idle, which shows only when it is used again.
STALE_CONNECTION = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class Transport:
    """A connection to one server, to be used by one thread and closed in the end.

    Besides the errors that each method names, all raise DeliveryError's subclasses. Redirects are not followed:
    the secret goes to no other place than the one that the user named. Proxies and `SSL_CERT_FILE` of the
    environment are respected. `network` replaces the real one in tests and simulations.
    """

    def __init__(self, server_url: str, network: httpx.BaseTransport | None = None) -> None:
        self._server_url = server_url
        self._secret = ""
        self._client = httpx.Client(
            base_url=server_url + "/ingest/v1",
            headers={"User-Agent": f"muster-agent/{__version__}"},
            timeout=_timeout(None),
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEP_ALIVE_S),
            verify=tls_context(server_url),
            transport=network,
        )

    def close(self) -> None:
        """Close the connection; nothing can be sent after that."""
        self._client.close()

    @property
    def server_url(self) -> str:
        """Where the requests go."""
        return self._server_url

    def use_secret(self, secret: str) -> None:
        """Authorise all requests from now on."""
        self._secret = secret

    def enrol(self, request: Mapping[str, object], idempotency_key: str) -> Credential:
        """Trade an enrolment token for a credential.

        A repetition with the same `idempotency_key` is the same enrolment: needed when the answer was lost.
        Raises EnrolmentRefused when the token is no good.
        """
        answer = self._post(
            "/enroll", _encode(request), headers={"Idempotency-Key": idempotency_key}, repeat_if_stale=False
        )
        if answer.status in {400, 401, 403, 409, 422}:
            raise EnrolmentRefused(f"{self._server_url} refused the enrolment: {answers.description(answer)}")
        self._expect(answer, 201)
        return Credential(server=self._server_url, **answers.enrolment(answer))

    def shake_hands(self, facts: Mapping[str, object]) -> Handshake:
        """Tell the server what this machine and this process are; learn what the server wants of it."""
        answer = self._post("/handshake", _encode(facts))
        self._expect(answer, 200)
        return answers.handshake(answer)

    def send_samples(self, encoded_samples: Sequence[bytes], timeout_s: float | None = None) -> list[Rejection]:
        """Deliver samples, each encoded as JSON. Once this returns, the server has answered for all of them.

        The ones given back were not taken and never will be.
        """
        answer = self._post("/metrics", b"[" + b",".join(encoded_samples) + b"]", timeout_s=timeout_s)
        self._expect(answer, 202)
        return answers.rejections(answer)

    def say_goodbye(self, timeout_s: float | None = None) -> None:
        """Tell the server that this machine goes offline on purpose."""
        self._expect(self._post("/disconnect", b"{}", timeout_s=timeout_s), 204)

    def _expect(self, answer: Answer, status: int) -> None:
        if answer.status != status:
            raise answers.error_of(answer, time.time())

    def _post(
        self,
        path: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        repeat_if_stale: bool = True,
    ) -> Answer:
        try:
            try:
                return self._post_once(path, body, headers, timeout_s)
            except STALE_CONNECTION:
                if not repeat_if_stale:
                    raise
                # RFC 9110, 9.2.2: repeat at once what may safely arrive twice.
                return self._post_once(path, body, headers, timeout_s)
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"cannot reach {self._server_url}: {reason}") from error

    def _post_once(self, path: str, body: bytes, headers: Mapping[str, str] | None, timeout_s: float | None) -> Answer:
        sent_headers = {"Content-Type": "application/json", **(headers or {})}
        if self._secret:
            sent_headers["Authorization"] = f"Bearer {self._secret}"
        response = self._client.post(path, content=body, headers=sent_headers, timeout=_timeout(timeout_s))
        lower_case = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, lower_case, response.content)


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _timeout(answer_s: float | None) -> httpx.Timeout:
    answer_s = ANSWER_TIMEOUT_S if answer_s is None else answer_s
    return httpx.Timeout(answer_s, connect=min(answer_s, CONNECT_TIMEOUT_S))


def tls_context(server_url: str) -> ssl.SSLContext:
    """Give whom to trust at this address: the authorities that httpx brings, or those of `SSL_CERT_FILE`."""
    if server_url.startswith("https:"):
        return httpx.create_ssl_context()
    # Trusts nobody and loads no authorities: megabytes that plain HTTP has no use for.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
