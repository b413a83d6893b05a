"""Connections that are kept, and proxies and authorities of the environment."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster_agent.errors import SettingsError
from muster_agent.plain_http import PlainHttp
from muster_agent.route import Route, proxy_of, tls_context
from tests.support.fake_ingest import FakeAnswer, FakeIngest
from tests.support.forward_proxy import ForwardProxy
from tests.support.running_agent import RunningAgent

AUTHORISED = {"Authorization": "Bearer the-agents-secret", "Content-Type": "application/json"}
CERTIFICATE = Path(__file__).parents[2] / "support" / "loopback.pem"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def ingest() -> Iterator[FakeIngest]:
    server = FakeIngest()
    server.start()
    yield server
    server.release_answers()
    server.stop()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardProxy]:
    started = ForwardProxy()
    started.start()
    monkeypatch.setenv("HTTP_PROXY", started.url)
    yield started
    started.stop()


def post(network: PlainHttp, path: str = "/metrics", body: bytes = b"[]", *, repeats: bool = True) -> int:
    return network.post("/ingest/v1" + path, body, AUTHORISED, 5.0, repeats=repeats).status


def test_a_connection_serves_many_requests(ingest: FakeIngest) -> None:
    network = PlainHttp(Route(ingest.url))
    assert [202, 202, 204] == [post(network), post(network), post(network, "/disconnect", b"{}")]
    assert 1 == ingest.connections
    network.close()


def test_a_connection_closed_while_idle_is_opened_again_at_once(ingest: FakeIngest) -> None:
    network = PlainHttp(Route(ingest.url))
    post(network)
    ingest.stop()
    ingest.start()
    assert 202 == post(network)
    network.close()


def test_what_may_not_be_made_twice_is_not_repeated(ingest: FakeIngest) -> None:
    network = PlainHttp(Route(ingest.url))
    post(network)
    ingest.stop()
    ingest.start()
    with pytest.raises((OSError, http.client.HTTPException)):
        post(network, repeats=False)
    network.close()


def test_a_connection_that_was_idle_for_a_minute_is_not_used_again(ingest: FakeIngest) -> None:
    now_s = 0.0
    network = PlainHttp(Route(ingest.url), lambda: now_s)
    post(network)
    now_s = 61.0
    post(network)
    assert 2 == ingest.connections
    network.close()


def test_a_server_that_does_not_answer_is_given_up(ingest: FakeIngest) -> None:
    network = PlainHttp(Route(ingest.url))
    ingest.hold_answers()
    with pytest.raises(TimeoutError):
        network.post("/ingest/v1/metrics", b"[]", AUTHORISED, 0.05, repeats=True)
    network.close()


def test_a_path_in_the_servers_url_is_kept(ingest: FakeIngest) -> None:
    network = PlainHttp(Route(ingest.url + "/muster"))
    ingest.script("/nowhere", FakeAnswer(404))
    post(network, "/disconnect", b"{}")
    assert "/muster/ingest/v1/disconnect" == ingest.requests[-1]
    network.close()


def test_plain_requests_are_forwarded_by_the_proxy(ingest: FakeIngest, proxy: ForwardProxy) -> None:
    network = PlainHttp(Route(ingest.url))
    assert 202 == post(network)
    assert [f"{ingest.url}/ingest/v1/metrics"] == proxy.forwarded
    network.close()


def test_a_stream_goes_through_a_tunnel_of_the_proxy(ingest: FakeIngest, proxy: ForwardProxy, tmp_path: Path) -> None:
    agent = RunningAgent(ingest.url, tmp_path, ingest.token, transport="stream")
    ingest.wait_until(lambda server: len(server.samples) >= 2)
    assert agent.stop()
    assert [ingest.url.removeprefix("http://")] == proxy.tunnels


def test_a_proxy_that_opens_no_tunnel_leads_to_plain_requests(
    ingest: FakeIngest, proxy: ForwardProxy, tmp_path: Path
) -> None:
    proxy.refuses_tunnels = True
    agent = RunningAgent(ingest.url, tmp_path, ingest.token, transport="auto")
    ingest.wait_until(lambda server: len(server.samples) >= 3 and not server.missing())
    assert agent.stop()
    assert [] == ingest.streams


@pytest.mark.usefixtures("proxy")
def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    assert None is proxy_of("http", "127.0.0.1", 8000)
    assert None is not proxy_of("http", "192.0.2.1", 8000)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://127.0.0.1:3128", "http://127.0.0.1:x", "http://"])
def test_a_proxy_of_another_kind_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(SettingsError, match=r"is not one such as http://proxy\.example\.org:3128$"):
        Route("http://192.0.2.1:8000")


def test_authorities_of_the_environment_replace_the_usual_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert tls_context().cert_store_stats()["x509_ca"] > 50
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(ssl.SSLError):
        tls_context()
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert 0 == tls_context().cert_store_stats()["x509_ca"]


@pytest.fixture
def secure_ingest() -> Iterator[FakeIngest]:
    server = FakeIngest(CERTIFICATE)
    server.start()
    yield server
    server.release_answers()
    server.stop()


@pytest.mark.parametrize("transport", ["stream", "http"])
def test_samples_arrive_over_tls_from_whom_the_authorities_vouch_for(
    secure_ingest: FakeIngest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    agent = RunningAgent(secure_ingest.url, tmp_path, secure_ingest.token, transport=transport)
    secure_ingest.wait_until(lambda server: len(server.samples) >= 5 and not server.missing())
    assert agent.stop()
    assert (1 if transport == "stream" else 0) == len(secure_ingest.streams)


def test_a_stream_over_tls_goes_through_a_tunnel_as_well(
    secure_ingest: FakeIngest, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    agent = RunningAgent(secure_ingest.url, tmp_path, secure_ingest.token, transport="stream")
    secure_ingest.wait_until(lambda server: len(server.samples) >= 2)
    assert agent.stop()
    assert [secure_ingest.url.removeprefix("https://")] * 2 == proxy.tunnels


def test_nothing_is_told_to_a_server_that_nobody_vouches_for(
    secure_ingest: FakeIngest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent = RunningAgent(secure_ingest.url, tmp_path, secure_ingest.token, transport="auto")
    agent.wait_for_backlog(3)
    agent.stop()
    assert [] == secure_ingest.requests
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://someone:secret@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    for is_tunnel in (False, True):
        with pytest.raises(ConnectionError, match=rf"^by the proxy 127\.0\.0\.1:{port}: .*refused") as caught:
            Route("http://muster.example.org").open(1.0, is_tunnel=is_tunnel)
        assert "secret" not in str(caught.value)
