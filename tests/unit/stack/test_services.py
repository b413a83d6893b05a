"""How Muster's own processes are started."""

from __future__ import annotations

from pathlib import Path

from stack.layout import DataFolder
from stack.services import Services

ENVIRON = {
    "PATH": "/bin",
    "OFFLINE_AFTER": "30",
    "AGENT_SHARED_TOKEN": "shared",
    "MUSTER_ADMIN_PASSWORD": "secret",
    "MUSTER_ENROL_TOKEN": "token",
    "NO_PROXY": "example.org",
    "PORT": "1",
    "HOST": "192.0.2.1",
}


def services(tmp_path: Path) -> Services:
    return Services(DataFolder(tmp_path), ENVIRON, "redis://r", "postgresql://p")


def test_one_process_bears_the_name_of_its_service_and_several_are_numbered(tmp_path: Path) -> None:
    of_one = services(tmp_path).replicas("api", [11], {})
    of_two = services(tmp_path).replicas("api", [11, 12], {})
    assert [(each.name, each.role, each.url) for each in of_one] == [("api", "api", "http://127.0.0.1:11")]
    assert [(each.name, each.url) for each in of_two] == [
        ("api-1", "http://127.0.0.1:11"),
        ("api-2", "http://127.0.0.1:12"),
    ]
    assert [each.log.name for each in of_two] == ["api-1.log", "api-2.log"]


def test_a_service_gets_the_servers_its_port_and_what_the_person_set(tmp_path: Path) -> None:
    environment = services(tmp_path).replicas("sweeper", [11], {})[0].environment
    assert environment["REDIS_URL"] == "redis://r"
    assert environment["DATABASE_URL"] == "postgresql://p"
    assert (environment["HOST"], environment["PORT"]) == ("127.0.0.1", "11")
    assert environment["OFFLINE_AFTER"] == "30"


def test_a_secret_goes_only_to_who_needs_it(tmp_path: Path) -> None:
    made = services(tmp_path)
    secrets = ("AGENT_SHARED_TOKEN", "MUSTER_ADMIN_PASSWORD", "MUSTER_ENROL_TOKEN")

    def known(environment: object) -> dict[str, str]:
        assert isinstance(environment, dict)
        return {name: environment[name] for name in secrets if name in environment}

    assert known(made.replicas("api", [11], {})[0].environment) == {}
    shared = {"AGENT_SHARED_TOKEN": "shared"}
    assert known(made.replicas("ingest", [11], shared)[0].environment) == shared
    assert known(made.setup("admin@localhost", "first").environment) == {"MUSTER_ADMIN_PASSWORD": "first"}
    assert known(made.setup("admin@localhost", None).environment) == {}
    assert known(made.agent("http://s", "token").environment) == {"MUSTER_ENROL_TOKEN": "token"}
    assert known(made.demo("http://s", "token", 3).environment) == {"MUSTER_ENROL_TOKEN": "token"}


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    made = services(tmp_path)
    programs = [made.agent("http://s", "t0ken"), made.demo("http://s", "t0ken", 3), made.setup("a@b", "t0ken")]
    assert not [program for program in programs if "t0ken" in " ".join(program.argv)]
    assert "t0ken" not in repr(programs)


def test_a_proxy_for_the_world_is_not_asked_for_this_machine(tmp_path: Path) -> None:
    environment = services(tmp_path).agent("http://s", "token").environment
    assert environment["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1"
    assert environment["no_proxy"] == "localhost,127.0.0.1,::1"
