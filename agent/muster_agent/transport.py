"""Speaks ingest's HTTP interface, one request at a time; every failure becomes an error of the agent's tree."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from muster_agent import __version__, answers
from muster_agent.answers import Answer, Handshake, Rejection
from muster_agent.credential import Credential
from muster_agent.errors import ApprovalNeeded, EnrolmentRefused, Unavailable
from muster_agent.plain_http import Network

ANSWER_TIMEOUT_S = 10.0
PREFIX = "/ingest/v1"


class Transport:
    """Requests to one server, to be made by one thread, and closed in the end.

    Besides the errors that each method names, all raise DeliveryError's subclasses. Redirects are not followed:
    the secret goes to no other place than the one that the user named. `network` carries the requests.
    """

    def __init__(self, server_url: str, network: Network) -> None:
        self._server_url = server_url
        self._network = network
        self._secret = ""

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._network.close()

    @property
    def server_url(self) -> str:
        """Where the requests go."""
        return self._server_url

    @property
    def headers(self) -> dict[str, str]:
        """Who asks: what every request carries, and the upgrade to a stream."""
        headers = {"User-Agent": f"muster-agent/{__version__}"}
        if self._secret:
            headers["Authorization"] = f"Bearer {self._secret}"
        return headers

    def use_secret(self, secret: str) -> None:
        """Authorise all requests from now on."""
        self._secret = secret

    def enrol(self, request: Mapping[str, object], idempotency_key: str) -> Credential:
        """Trade an enrolment token for a credential.

        A repetition with the same `idempotency_key` is the same enrolment: needed when the answer was lost.
        Raises EnrolmentRefused when the token is no good, and ApprovalNeeded when the request names an agent that
        exists.
        """
        answer = self._post(
            "/enroll", _encode(request), headers={"Idempotency-Key": idempotency_key}, repeat_if_stale=False
        )
        if answer.status == HTTPStatus.CONFLICT and answers.code(answer) == "agent_exists":
            raise ApprovalNeeded(answers.description(answer))
        if answer.status in {400, 401, 403, 409, 422} and answers.is_problem(answer):
            raise EnrolmentRefused(f"{self._server_url} refused the enrolment: {answers.description(answer)}")
        self._expect(answer, 201)
        return Credential(server=self._server_url, **answers.enrolment(answer))

    def rotate(self) -> str:
        """Ask for another secret, with the present one. Both are good until the new one is used."""
        answer = self._post("/rotate", b"{}")
        self._expect(answer, 200)
        return answers.secret(answer)

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
        sent_headers = {**self.headers, "Content-Type": "application/json", **(headers or {})}
        timeout_s = ANSWER_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            return self._network.post(PREFIX + path, body, sent_headers, timeout_s, repeats=repeat_if_stale)
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._server_url, error) from error


def unreachable(server_url: str, error: Exception) -> Unavailable:
    """Say that a server cannot be reached, and why."""
    reason = str(error) or type(error).__name__
    return Unavailable(f"cannot reach {server_url}: {reason}")


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
