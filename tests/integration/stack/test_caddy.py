"""The one origin: real Caddy in front of stand-ins for the services."""

from __future__ import annotations

import gzip
import http.client
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from stack.embedded import caddy
from stack.embedded.caddy import REQUEST_BODY_BYTES, ROUTES
from stack.folders import make_private
from stack.layout import CHECKOUT
from stack.ports import LoopbackPorts
from tests.support.processes import RunningProgram
from tests.support.standin import answers, running_standin

PATHS = {
    "api": ("/api", "/api/v1/servers", "/api/openapi.json"),
    "ingest": ("/ingest", "/ingest/v1/metrics"),
    "broadcaster": ("/ws", "/socket.io/", "/socket.io", "/terminal", "/terminal/a_1"),
}


def start_caddy(folder: Path, config: caddy.Json, address: str) -> RunningProgram:
    make_private(folder)
    program = caddy.server(folder, config, f"http://{address}", folder / "caddy.log")
    running = RunningProgram(program, answers(f"http://{address}/metrics"))
    running.start()
    return running


def start_without_page(folder: Path, upstreams: Mapping[str, list[str]]) -> RunningProgram:
    address = f"127.0.0.1:{LoopbackPorts().take()}"
    return start_caddy(folder, caddy.configuration([address], upstreams, None, folder / "storage"), address)


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunningProgram]]:
    ports, folder = LoopbackPorts(), tmp_path_factory.mktemp("standins")
    running = {name: running_standin(name, ports.take(), folder / name) for name in ROUTES}
    for program in running.values():
        program.start()
    yield running
    for program in running.values():
        program.stop()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>Muster</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-1a2b.js").write_text("//" + 2000 * "x")
    (folder / ".muster-built").write_text("stamp")
    return folder


def upstreams_of(standins: Mapping[str, RunningProgram]) -> dict[str, list[str]]:
    return {name: [(running.program.url or "").removeprefix("http://")] for name, running in standins.items()}


def containers_configuration(address: str, upstreams: Mapping[str, list[str]], page: Path) -> caddy.Json:
    """Return what deploy/Caddyfile says, with addresses of this machine in the place of those of containers."""
    file = CHECKOUT / "deploy" / "Caddyfile"
    adapt = [str(caddy.find_server()), "adapt", "--config", str(file), "--adapter", "caddyfile"]
    text = subprocess.run(adapt, check=True, capture_output=True, text=True).stdout
    text = text.replace('":8000"', json.dumps(address)).replace('"/srv/page"', json.dumps(str(page)))
    for name, replicas in upstreams.items():
        dynamic = f'"dynamic_upstreams":{{"name":"{name}","port":"8000","refresh":2000000000,"source":"a"}}'
        assert text.count(dynamic) == 1 + (name == "broadcaster")  # which has sessions, too
        text = text.replace(dynamic, f'"upstreams":{json.dumps([{"dial": replica} for replica in replicas])}')
    config: caddy.Json = json.loads(text)
    return config


@pytest.fixture(scope="module", params=["one machine", "containers"])
def origin(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    standins: dict[str, RunningProgram],
    page: Path,
) -> Iterator[str]:
    address, folder = f"127.0.0.1:{LoopbackPorts().take()}", tmp_path_factory.mktemp("caddy")
    if request.param == "containers":
        config = containers_configuration(address, upstreams_of(standins), page)
    else:
        config = caddy.configuration([address], upstreams_of(standins), page, folder / "storage")
    running = start_caddy(folder, config, address)
    yield running.program.url or ""
    running.stop()


@pytest.fixture(scope="module")
def client(origin: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=origin, trust_env=False, timeout=10) as opened:
        yield opened


def raw_get(origin: str, path: str) -> tuple[int, bytes]:
    """Ask for a path as it stands, without a client's tidying."""
    connection = http.client.HTTPConnection(origin.removeprefix("http://"), timeout=10)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in PATHS.items() for path in paths])
def test_each_path_leads_to_its_service(client: httpx.Client, name: str, path: str) -> None:
    answer = client.get(path).json()
    assert (answer["name"], answer["path"]) == (name, path)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "/METRICS",
        "/%6detrics",
        "//metrics",
        "/./metrics",
        "/api/../metrics",
        "/api/%2e%2e/metrics",
        "/ws/..%2fmetrics",
        "/health",
        "/readiness",
    ],
)
def test_what_services_tell_about_themselves_is_not_published(origin: str, path: str) -> None:
    status, body = raw_get(origin, path)
    assert status == 404
    assert json.loads(body)["code"] == "not_found"


def test_a_service_sees_who_asked(client: httpx.Client) -> None:
    forged = {"X-Forwarded-For": "203.0.113.1"}
    assert client.get("/api/v1/me", headers=forged).json()["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_answers_of_services_get_the_safe_headers_and_keep_their_own(client: httpx.Client) -> None:
    answer = client.get("/api/v1/me")
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers
    assert "content-security-policy" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/servers/s_1", "/index.html?x=1", "/apiary"])
def test_the_page_answers_for_every_path_of_its_own(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "<title>Muster</title>")
    assert answer.headers["content-security-policy"] == caddy.CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_hashed_file_is_kept_for_ever_and_comes_compressed(client: httpx.Client) -> None:
    request = client.build_request("GET", "/assets/index-1a2b.js", headers={"Accept-Encoding": "gzip"})
    answer = client.send(request, stream=True)
    packed = b"".join(answer.iter_raw())
    answer.close()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == b"//" + 2000 * b"x"


def test_a_hashed_file_that_is_gone_is_not_found(client: httpx.Client) -> None:
    answer = client.get("/assets/index-0000.js")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "immutable" not in answer.headers.get("cache-control", "")


def test_a_hidden_file_is_not_served(client: httpx.Client) -> None:
    assert client.get("/.muster-built").status_code == 404


def test_the_page_can_only_be_read(client: httpx.Client) -> None:
    answer = client.post("/")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_problem_of_the_origin_has_the_form_of_all_others(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code", "errors"}
    assert (problem["status"], problem["title"]) == (404, "Not Found")
    assert answer.headers["x-request-id"]


def test_a_body_is_passed_on_up_to_the_limit_and_refused_beyond(client: httpx.Client) -> None:
    assert client.post("/ingest/v1/metrics", content=bytes(REQUEST_BODY_BYTES)).json()["size"] == REQUEST_BODY_BYTES
    refused = client.post("/ingest/v1/metrics", content=bytes(REQUEST_BODY_BYTES + 1))
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


def test_events_come_at_once_and_the_service_learns_that_the_listener_has_gone(client: httpx.Client) -> None:
    with client.stream("GET", "/events") as answer:
        assert next(answer.iter_lines()) == "data: now"
        assert client.get("/ws").json()["listeners"] == 1
    deadline = time.monotonic() + 5
    while client.get("/ws").json()["listeners"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_request_waits_for_a_service_that_is_started_again(
    client: httpx.Client, standins: dict[str, RunningProgram]
) -> None:
    standins["api"].kill()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, "/api/v1/servers", content=b"{}")
        standins["api"].start()
        assert answer.result().json()["size"] == 2


def test_a_service_that_stays_away_is_unavailable_with_a_time_to_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caddy, "CONNECT_PATIENCE", "100ms")
    nowhere = f"127.0.0.1:{LoopbackPorts().take()}"
    running = start_without_page(tmp_path / "caddy", {name: [nowhere] for name in ROUTES})
    answer = httpx.get(f"{running.program.url}/api/v1/me", trust_env=False)
    running.stop()
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (503, "unavailable", 503)
    assert answer.headers["retry-after"] == "1"


def test_a_replica_that_is_down_gets_no_requests(tmp_path: Path, standins: dict[str, RunningProgram]) -> None:
    upstreams = upstreams_of(standins)
    upstreams["ingest"].append(f"127.0.0.1:{LoopbackPorts().take()}")
    running = start_without_page(tmp_path / "caddy", upstreams)
    with httpx.Client(base_url=running.program.url or "", trust_env=False) as client:
        started = time.monotonic()
        statuses = {client.post("/ingest/v1/metrics", content=b"[]").status_code for _ in range(40)}
    running.stop()
    assert statuses == {200}
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("where", ["one machine", "containers"])
def test_a_socketio_session_stays_with_its_replica(
    tmp_path: Path, standins: dict[str, RunningProgram], page: Path, where: str
) -> None:
    ports, address = LoopbackPorts(), f"127.0.0.1:{LoopbackPorts().take()}"
    replicas = [running_standin(f"broadcaster-{n}", ports.take(), tmp_path / f"broadcaster-{n}") for n in (1, 2)]
    upstreams = upstreams_of(standins)
    upstreams["broadcaster"] = [(replica.program.url or "").removeprefix("http://") for replica in replicas]
    if where == "containers":
        config = containers_configuration(address, upstreams, page)
    else:
        config = caddy.configuration([address], upstreams, page, tmp_path / "storage")
    running = start_caddy(tmp_path / "caddy", config, address)
    for replica in replicas:
        replica.start()

    def reached(client: str, query: str) -> set[str]:
        """Return the replicas that answered one client's requests, one after the other."""
        with httpx.Client(transport=httpx.HTTPTransport(local_address=client), trust_env=False) as http:
            url = f"http://{address}/socket.io/?EIO=4&{query}"
            return {http.get(url).json()["name"] for _ in range(8)}

    everyone = [f"127.0.0.{number}" for number in range(2, 18)]
    try:
        polled = [
            reached(client, "transport=polling&sid=a") | reached(client, "transport=polling") for client in everyone
        ]
        assert [1] * len(everyone) == [len(replicas) for replicas in polled]
        assert {"broadcaster-1", "broadcaster-2"} == set().union(*polled)
        for client, replicas_of_client in zip(everyone, polled, strict=True):
            assert replicas_of_client == reached(client, "transport=websocket&sid=a")
        websockets = [reached(client, "transport=websocket") for client in everyone]
        assert {"broadcaster-1", "broadcaster-2"} in websockets
    finally:
        for program in (running, *replicas):
            program.stop()


def test_without_a_built_page_the_person_is_told_how_to_build_it(
    tmp_path: Path, standins: dict[str, RunningProgram]
) -> None:
    running = start_without_page(tmp_path / "caddy", upstreams_of(standins))
    page = httpx.get(f"{running.program.url}/", trust_env=False)
    api = httpx.get(f"{running.program.url}/api/v1/me", trust_env=False)
    running.stop()
    assert (page.status_code, api.status_code) == (503, 200)
    assert "make up" in page.text


def test_nothing_but_the_origin_listens_and_nothing_is_written_at_home(tmp_path: Path) -> None:
    config = caddy.configuration(["127.0.0.1:1"], {name: [] for name in ROUTES}, None, tmp_path / "storage")
    assert config["admin"] == {"disabled": True, "config": {"persist": False}}
    program = caddy.server(tmp_path, config, "http://127.0.0.1:1", tmp_path / "log")
    assert {program.environment[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")} == {str(tmp_path)}
