"""What goes over the wire, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import BadStatusLine

import pytest

from muster_agent import __version__
from muster_agent.answers import Answer, Handshake, Rejection
from muster_agent.credential import Credential
from muster_agent.errors import CredentialRefused, EnrolmentRefused, TooLarge, Unavailable
from muster_agent.terms import Terms
from muster_agent.transport import Transport
from tests.support.scripted_network import ScriptedNetwork, answer

URL = "https://muster.example.org"
ENROLLED = {"agent_id": "a_1", "secret": "hush", "server_id": "s_1", "workspace_id": "w_1"}
GREETED = {"server_id": "s_1", "server_time": "2026-01-01T00:00:00Z", "interval_s": 5}

Connect = Callable[..., "tuple[Transport, ScriptedNetwork]"]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as opened:

        def connected(*answers: Answer | Exception) -> tuple[Transport, ScriptedNetwork]:
            network = ScriptedNetwork(*answers)
            transport = Transport(URL, network)
            opened.callback(transport.close)
            return transport, network

        yield connected


def test_enrolling_trades_a_token_for_a_credential(connect: Connect) -> None:
    transport, network = connect(answer(201, ENROLLED))
    request = {"token": "sesame", "hostname": "vm", "machine_id": "m"}
    assert Credential("a_1", "hush", "s_1", "w_1", URL) == transport.enrol(request, "key-1")
    sent = network.requests[0]
    assert "/ingest/v1/enroll" == sent.path
    assert request == network.body()
    assert "key-1" == sent.headers["Idempotency-Key"]
    assert "Authorization" not in sent.headers
    assert f"muster-agent/{__version__}" == sent.headers["User-Agent"]


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422])
def test_a_refused_token_is_not_worth_another_try(connect: Connect, status: int) -> None:
    transport, _ = connect(answer(status, {"code": "token_spent", "detail": "it was used before"}))
    with pytest.raises(EnrolmentRefused, match=f"refused the enrolment: HTTP {status}: token_spent: it was used"):
        transport.enrol({"token": "sesame"}, "key-1")


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_a_server_that_cannot_enrol_now_is_worth_another_try(connect: Connect, status: int) -> None:
    transport, _ = connect(answer(status))
    with pytest.raises(Exception, match=f"HTTP {status}") as caught:
        transport.enrol({"token": "sesame"}, "key-1")
    assert not isinstance(caught.value, EnrolmentRefused)


def test_a_handshake_is_authorised_by_the_secret(connect: Connect) -> None:
    transport, network = connect(answer(200, GREETED))
    transport.use_secret("hush")
    assert Handshake("s_1", Terms(5.0)) == transport.shake_hands({"boot_id": "b"})
    assert "Bearer hush" == network.requests[0].headers["Authorization"]
    assert {"boot_id": "b"} == network.body()


def test_a_handshake_with_an_unknown_record_is_tried_again(connect: Connect) -> None:
    transport, _ = connect(answer(404, {"code": "not_found"}))
    with pytest.raises(Unavailable, match="HTTP 404: not_found"):
        transport.shake_hands({})


def test_samples_go_as_one_array_of_what_was_encoded(connect: Connect) -> None:
    transport, network = connect(answer(202, {"accepted": 2, "rejected": []}))
    assert [] == transport.send_samples([b'{"seq":1}', b'{"seq":2}'])
    assert b'[{"seq":1},{"seq":2}]' == network.requests[0].body
    assert "application/json" == network.requests[0].headers["Content-Type"]


def test_rejected_samples_are_told(connect: Connect) -> None:
    rejected = [{"index": 1, "code": "not_finite", "message": "cpu_percent"}]
    transport, _ = connect(answer(202, {"accepted": 1, "rejected": rejected}))
    assert [Rejection(1, "not_finite", "cpu_percent")] == transport.send_samples([b"{}", b"{}"])


@pytest.mark.parametrize(("status", "kind"), [(200, Unavailable), (401, CredentialRefused), (413, TooLarge)])
def test_samples_count_as_delivered_by_a_202_alone(connect: Connect, status: int, kind: type[Exception]) -> None:
    transport, _ = connect(answer(status))
    with pytest.raises(kind):
        transport.send_samples([b"{}"])


def test_a_redirect_is_not_followed(connect: Connect) -> None:
    transport, network = connect(answer(307, headers={"Location": "https://elsewhere.example/"}))
    with pytest.raises(Unavailable, match="redirects to https://elsewhere"):
        transport.send_samples([b"{}"])
    assert 1 == len(network.requests)


def test_goodbye_is_a_request_of_its_own(connect: Connect) -> None:
    transport, network = connect(answer(204))
    transport.say_goodbye()
    assert ["/disconnect"] == network.paths()


@pytest.mark.parametrize(
    "fault", [ConnectionRefusedError("Connection refused"), TimeoutError("timed out"), BadStatusLine("x")]
)
def test_a_server_that_cannot_be_reached_is_named_with_the_reason(connect: Connect, fault: Exception) -> None:
    transport, network = connect(fault)
    with pytest.raises(Unavailable, match=f"cannot reach https://muster.example.org: {fault}"):
        transport.send_samples([b"{}"])
    assert 1 == len(network.requests)


def test_only_an_enrolment_may_not_be_made_twice(connect: Connect) -> None:
    transport, network = connect(answer(201, ENROLLED), answer(202), answer(204))
    transport.enrol({"token": "sesame"}, "key-1")
    transport.send_samples([b"{}"])
    transport.say_goodbye()
    assert [False, True, True] == [request.repeats for request in network.requests]


def test_a_hurried_request_waits_no_longer_than_told(connect: Connect) -> None:
    transport, network = connect(answer(204), answer(202))
    transport.say_goodbye(1.5)
    transport.send_samples([b"{}"])
    assert [1.5, 10.0] == [request.timeout_s for request in network.requests]
