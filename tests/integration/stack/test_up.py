"""`muster up` as a person meets it, with real servers and stand-ins for the services."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis

from stack.origin import has_ipv6_loopback
from stack.ready import Ready
from tests.support.muster import STOPPED_WITHIN_S, Muster, wait_until_gone, write_standin_services
from tests.support.standin import answers

MakeMuster = Callable[..., Muster]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return write_standin_services(tmp_path / "standins")


@pytest.fixture
def make_muster(tmp_path: Path, environment: dict[str, str]) -> Iterator[MakeMuster]:
    made: list[Muster] = []

    def make(*flags: str, folder: str = "data", **extra: str) -> Muster:
        made.append(Muster(tmp_path / folder, {**environment, **extra}, "--no-agent", *flags))
        return made[-1]

    yield make
    for muster in made:
        muster.clear_away()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Muster]:
    """Give a stack that tests may look at, and break where it mends itself."""
    folder = tmp_path_factory.mktemp("running")
    environment = write_standin_services(folder / "standins")
    muster = Muster(folder / "data", environment, "--no-agent", "--scale", "ingest=2,broadcaster=2")
    muster.start()
    yield muster
    muster.clear_away()


def found(muster: Muster) -> Ready:
    ready = muster.ready()
    assert ready is not None
    return ready


def ask(url: str) -> dict[str, object]:
    answer = httpx.get(url, trust_env=False, timeout=10)
    described: dict[str, object] = answer.raise_for_status().json()
    return described


def test_everything_is_ready_when_it_says_so(running: Muster) -> None:
    ready = found(running)
    assert f"Muster is ready at http://localhost:{running.port}\n" in running.said()
    assert ready.url == f"http://localhost:{running.port}"
    replicas = {role: len(processes) for role, processes in ready.services.items()}
    once = ("api", "caddy", "postgres", "sweeper", "valkey", "worker")
    assert replicas == {**dict.fromkeys(once, 1), "ingest": 2, "broadcaster": 2}
    assert ask(f"{ready.url}/api/v1/me")["pid"] == ready.services["api"][0].pid
    for process in ready.services["ingest"]:
        assert ask(f"{process.url}/readiness")["pid"] == process.pid
    shown = running.run("status", "--data-dir", str(running.data_dir))
    assert shown.returncode == 0
    assert shown.stdout.count("\n") == 1 + sum(replicas.values())


def test_ready_json_has_the_promised_form(running: Muster) -> None:
    content = json.loads((running.data_dir / "ready.json").read_text())
    assert set(content) == {"url", "redis_url", "database_url", "services"}
    assert set(content["services"]["api"][0]) == {"pid", "url"}


def test_the_data_folder_is_for_nobody_else_to_read(running: Muster) -> None:
    for path in (running.data_dir, *running.data_dir.rglob("*")):
        if "/postgres/data/" not in str(path):  # PostgreSQL sees to its own
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_page_answers_on_both_loopback_addresses(running: Muster) -> None:
    addresses = {socket.AF_INET: "127.0.0.1"} | ({socket.AF_INET6: "::1"} if has_ipv6_loopback() else {})
    for family, address in addresses.items():
        with closing(socket.socket(family)) as connection:
            connection.settimeout(5)
            connection.connect((address, running.port))


def test_a_folder_in_use_and_a_taken_port_are_told_in_one_line(running: Muster, tmp_path: Path) -> None:
    same_folder = running.run("up", "--data-dir", str(running.data_dir), "--port", str(running.port + 1))
    assert same_folder.returncode == 1
    assert same_folder.stderr == f"muster: the data folder {running.data_dir} is in use by another muster up\n"
    same_port = running.run("up", "--data-dir", str(tmp_path / "other"), "--port", str(running.port))
    assert same_port.returncode == 1
    assert same_port.stderr == f"muster: port {running.port} is taken: choose another one with --port\n"
    assert not (tmp_path / "other" / "postgres").exists()


def test_two_run_at_once_with_other_ports_and_folders(running: Muster, make_muster: MakeMuster) -> None:
    ready = make_muster().start()
    assert ask(f"{ready.url}/api/v1/me")["pid"] == ready.services["api"][0].pid
    there = found(running)
    assert ask(f"{there.url}/api/v1/me")["pid"] == there.services["api"][0].pid


def test_what_was_killed_comes_back_at_its_place(running: Muster) -> None:
    victims = ("api", "caddy", "valkey", "postgres")
    before = found(running)
    for role in victims:
        os.kill(before.services[role][0].pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while not all(running.processes(role) not in ([], before.services[role]) for role in victims):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    after = found(running)
    assert [process.url for process in after.services["api"]] == [process.url for process in before.services["api"]]
    assert after.services["worker"] == before.services["worker"]
    assert "api ended (signal SIGKILL) and is started again" in running.said()
    while not answers(f"{after.url}/api/v1/me")():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ask(f"{after.url}/api/v1/me")["pid"] == after.services["api"][0].pid


async def test_what_was_written_is_there_at_the_next_start(
    make_muster: MakeMuster, environment: dict[str, str]
) -> None:
    muster = make_muster()
    first = muster.start()
    password = (muster.data_dir / "admin-password").read_text().strip()
    assert f"Sign in as admin@localhost with the password {password} (kept in " in muster.said()
    set_up = Path(environment["PYTHONPATH"], "services/api/administrator")
    assert set_up.read_text() == password
    # they change it on the page, and it must stay what they changed it to
    set_up.write_text("changed")
    with redis.Redis.from_url(first.redis_url) as client:
        client.set("key", "kept")
    connection = await asyncpg.connect(first.database_url)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    await connection.close()

    assert muster.stop() == 0
    again = muster.start()
    with redis.Redis.from_url(again.redis_url) as client:
        assert client.get("key") == b"kept"
    connection = await asyncpg.connect(again.database_url)
    assert await connection.fetchval("SELECT n FROM kept") == 7
    await connection.close()
    assert set_up.read_text() == "changed"
    assert password not in muster.said()


def test_servers_and_a_password_that_were_given_are_used(
    make_muster: MakeMuster, environment: dict[str, str], redis_url: str, database_url: str
) -> None:
    given = {"MUSTER_ADMIN_PASSWORD": "given", "MUSTER_ADMIN_EMAIL": "me@example.org"}
    muster = make_muster(REDIS_URL=redis_url, DATABASE_URL=database_url, **given)
    ready = muster.start()
    assert (ready.redis_url, ready.database_url) == (redis_url, database_url)
    assert not {"valkey", "postgres"} & set(ready.services)
    assert not [name for name in ("valkey", "postgres") if (muster.data_dir / name).exists()]
    assert Path(environment["PYTHONPATH"], "services/api/administrator").read_text() == "given"
    assert "Sign in as me@example.org with the password of MUSTER_ADMIN_PASSWORD." in muster.said()
    assert not (muster.data_dir / "admin-password").exists()


def test_a_server_that_does_not_let_us_in_is_told_without_its_password(
    make_muster: MakeMuster, tmp_path: Path, redis_url: str, database_url: str
) -> None:
    muster = make_muster()
    wrong = redis_url.replace("redis://:", "redis://:not-")
    flags = ("--data-dir", str(tmp_path / "data"), "--port", str(muster.port))
    refused = muster.run("up", *flags, environment={"REDIS_URL": wrong, "DATABASE_URL": database_url})
    assert refused.returncode == 1
    assert refused.stderr.startswith("muster: REDIS_URL: the server 127.0.0.1:")
    assert refused.stderr.count("\n") == 1
    assert "not-" not in refused.stderr


def test_ctrl_c_stops_everything_in_order_and_in_time(make_muster: MakeMuster) -> None:
    muster = make_muster()
    muster.start()
    family = muster.family()
    assert len(family) > 8
    assert muster.stop(signal.SIGINT) == 0
    wait_until_gone(family)
    assert muster.ready() is None
    assert muster.said().endswith("Muster stops\nMuster has stopped\n")
    assert "bye bye" in (muster.data_dir / "logs" / "valkey.log").read_text()
    assert "database system is shut down" in (muster.data_dir / "logs" / "postgres.log").read_text()


def test_services_that_will_not_stop_are_killed_in_time(make_muster: MakeMuster) -> None:
    muster = make_muster(STANDIN="stubborn")
    muster.start()
    family = muster.family()
    assert muster.stop() == 0
    wait_until_gone(family)


def test_a_second_signal_ends_it_at_once(make_muster: MakeMuster) -> None:
    muster = make_muster(STANDIN="stubborn")
    muster.start()
    family = muster.family()
    muster.process.terminate()
    muster.wait_until_said("Muster stops")
    started = time.monotonic()
    muster.stop()
    assert time.monotonic() - started < 3
    wait_until_gone(family)


def test_a_signal_while_it_starts_leaves_nothing(make_muster: MakeMuster) -> None:
    muster = make_muster()
    muster.launch()
    muster.wait_until_said("PostgreSQL")
    family = muster.family()
    assert muster.stop() == 0
    wait_until_gone(family)
    assert "ready at" not in muster.said()


def test_a_killed_supervisor_leaves_nothing_and_can_be_started_again(make_muster: MakeMuster) -> None:
    muster = make_muster()
    muster.start()
    family = muster.family()
    muster.process.kill()
    muster.process.wait()
    wait_until_gone(family)
    (muster.data_dir / "ready.json").unlink()
    muster.start()


def test_a_service_that_does_not_start_is_told_and_nothing_is_left(make_muster: MakeMuster) -> None:
    muster = make_muster(STANDIN="fail")
    muster.launch()
    muster.wait_until_said("database")
    family = muster.family()
    assert muster.process.wait(STOPPED_WITHIN_S) == 1
    log = muster.data_dir / "logs" / "worker.log"
    expected = [f"muster: worker ended at once (exit status 3): see {log}", "    worker cannot find what it needs"]
    assert muster.said().splitlines()[-2:] == expected
    wait_until_gone(family)
    assert not (muster.data_dir / "ready.json").exists()


def test_status_of_a_folder_in_which_nothing_runs(running: Muster, tmp_path: Path) -> None:
    shown = running.run("status", "--data-dir", str(tmp_path / "none"))
    assert (shown.returncode, shown.stdout) == (3, f"Muster does not run in {tmp_path / 'none'}\n")
    assert not (tmp_path / "none").exists()
