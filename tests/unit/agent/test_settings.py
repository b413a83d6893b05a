"""What flags and environment mean, and how mistakes are told."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from muster_agent import __version__, settings
from muster_agent.collectors import catalogue
from muster_agent.errors import SettingsError
from muster_agent.settings import Settings
from muster_agent.update.settings import UpdateSettings


def load(*arguments: str, environ: Mapping[str, str] | None = None, is_root: bool = False) -> Settings:
    return settings.load(arguments, {"HOME": "/home/ada"} if environ is None else environ, is_root=is_root)


def test_defaults() -> None:
    expected = Settings(
        server_url="",
        token="",
        state_dir=Path("/home/ada/.local/state/muster-agent"),
        interval_s=5.0,
        name="",
        log_level="info",
        once=False,
        update=UpdateSettings(),
    )
    assert expected == load()


def test_flags_win_over_the_environment() -> None:
    environ = {
        "MUSTER_SERVER": "https://environment.example",
        "MUSTER_ENROL_TOKEN": "from-environment",
        "MUSTER_AGENT_STATE_DIR": "/from/environment",
    }
    from_environment = load(environ=environ)
    assert "https://environment.example" == from_environment.server_url
    assert "from-environment" == from_environment.token
    assert Path("/from/environment") == from_environment.state_dir
    from_flags = load("--server", "http://flag:8000/", "--token", "flag", "--state-dir", "/flag", environ=environ)
    assert "http://flag:8000" == from_flags.server_url
    assert "flag" == from_flags.token
    assert Path("/flag") == from_flags.state_dir


def test_the_agent_that_a_machine_was_can_be_named_either_way() -> None:
    environ = {"HOME": "/home/ada", "MUSTER_AGENT_ID": "a_1"}
    assert ("", "a_1", "a_2") == tuple(
        each.agent_id for each in (load(), load(environ=environ), load("--agent-id", "a_2", environ=environ))
    )
    with pytest.raises(SettingsError, match=re.escape("argument --agent-id: 'a 1' is not the id of an agent")):
        load("--agent-id", "a 1")


def test_how_samples_travel_and_stay_can_be_chosen_either_way() -> None:
    environ = {
        "HOME": "/home/ada",
        "MUSTER_AGENT_TRANSPORT": "http",
        "MUSTER_AGENT_KEEP_HOURS": "48",
        "MUSTER_AGENT_KEEP_MB": "7.5",
    }
    from_environment = load(environ=environ)
    assert ("http", 48.0, 7.5) == (from_environment.transport, from_environment.keep_hours, from_environment.keep_mb)
    flags = load("--transport", "stream", "--keep-hours", "1", "--keep-mb", "2", environ=environ)
    assert ("stream", 1.0, 2.0) == (flags.transport, flags.keep_hours, flags.keep_mb)
    assert ("auto", 24.0, 50.0) == (load().transport, load().keep_hours, load().keep_mb)


@pytest.mark.parametrize(
    ("arguments", "variable", "message"),
    [
        (("--transport", "smoke"), {}, "argument --transport: 'smoke' is none of auto, stream, http"),
        ((), {"MUSTER_AGENT_TRANSPORT": "smoke"}, "MUSTER_AGENT_TRANSPORT: 'smoke' is none of"),
        (("--keep-hours", "0"), {}, "argument --keep-hours: '0' is not a number above 0 and up to 8784"),
        ((), {"MUSTER_AGENT_KEEP_HOURS": "nan"}, "MUSTER_AGENT_KEEP_HOURS: 'nan' is not a number"),
        ((), {"MUSTER_AGENT_KEEP_MB": "much"}, "MUSTER_AGENT_KEEP_MB: 'much' is not a number above 0"),
    ],
)
def test_a_wrong_choice_of_how_samples_travel_and_stay_is_named(
    arguments: tuple[str, ...], variable: Mapping[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(*arguments, environ={"HOME": "/home/ada", **variable})
    assert str(caught.value).startswith(message)


def test_root_keeps_its_state_with_the_systems() -> None:
    assert Path("/var/lib/muster-agent") == load(is_root=True).state_dir


def test_a_user_of_windows_has_no_home_but_a_place_for_data() -> None:
    assert Path("/data/muster-agent") == load(environ={"LOCALAPPDATA": "/data"}).state_dir


def test_the_users_state_home_is_respected_where_it_is_absolute() -> None:
    environ = {"HOME": "/home/ada", "XDG_STATE_HOME": "/elsewhere"}
    assert Path("/elsewhere/muster-agent") == load(environ=environ).state_dir
    environ["XDG_STATE_HOME"] = "relative"
    assert Path("/home/ada/.local/state/muster-agent") == load(environ=environ).state_dir


def test_without_a_home_a_state_directory_must_be_named() -> None:
    with pytest.raises(SettingsError, match="give --state-dir"):
        load(environ={})


def test_a_relative_state_directory_is_made_absolute() -> None:
    assert Path.cwd() / "state" == load("--state-dir", "state").state_dir


@pytest.mark.parametrize("url", ["https://muster.example.org", "http://[::1]:8000", "https://example.org/muster"])
def test_a_servers_url_is_taken_without_its_last_slash(url: str) -> None:
    assert url == load("--server", url + "/").server_url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "muster.example.org",
        "ftp://example.org",
        "https://",
        "http://example.org:99999",
        "http://exam ple.org",
        "https://user:word@example.org",
        "https://example.org/?token=x",
        "https://example.org/#part",
    ],
)
def test_what_is_no_servers_url_is_told_with_its_source(url: str) -> None:
    with pytest.raises(SettingsError, match=r"argument --server: .* is not a URL such as"):
        load("--server", url)
    with pytest.raises(SettingsError, match=r"MUSTER_SERVER: .* is not a URL such as"):
        load(environ={"HOME": "/", "MUSTER_SERVER": url})


@pytest.mark.parametrize("interval", ["0", "-5", "0.05", "3601", "nan", "inf", "five", ""])
def test_an_interval_out_of_bounds_is_refused(interval: str) -> None:
    with pytest.raises(SettingsError, match=r"argument --interval: .* is not a number of seconds from 0\.1 to 3600"):
        load(f"--interval={interval}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bogus"], "unrecognized arguments: --bogus"),
        (["--serv", "http://x"], "unrecognized arguments"),
        (["--log-level", "loud"], "argument --log-level: invalid choice"),
        (["--token"], "argument --token: expected one argument"),
        (["--name", "a\nb"], "argument --name: at most 200 printable characters"),
        (["--name", "x" * 201], "argument --name: at most 200 printable characters"),
        (["stray"], "unrecognized arguments: stray"),
    ],
)
def test_a_wrong_flag_is_told_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_collectors_can_be_turned_off() -> None:
    assert {"gpus", "smart"} == load("--without", "gpus, smart,").without
    environ = {"HOME": "/", "MUSTER_AGENT_WITHOUT": "containers"}
    assert {"containers"} == load(environ=environ).without
    assert {"gpus"} == load("--without", "gpus", environ=environ).without


def test_what_cannot_be_turned_off_is_told_with_its_source() -> None:
    with pytest.raises(
        SettingsError, match=r"argument --without: nothing is called 'gpu', 'x'; there are cpu, memory,"
    ):
        load("--without", "gpu,x,smart")
    with pytest.raises(SettingsError, match=r"MUSTER_AGENT_WITHOUT: one of cpu, memory, processes has to stay"):
        load(environ={"HOME": "/", "MUSTER_AGENT_WITHOUT": "cpu,memory,processes"})


def test_help_lists_what_can_be_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load("--help")
    assert set(catalogue.NAMES) <= set(re.split(r"[\s,.]+", capsys.readouterr().out))


def test_a_footprint_is_measured_for_a_minute_or_as_long_as_asked() -> None:
    assert [None, 60.0, 5.0] == [load(*each).footprint_s for each in ([], ["--footprint"], ["--footprint", "5"])]
    with pytest.raises(SettingsError, match=r"argument --footprint: 'nan' is not a number of seconds from 1 to 86400"):
        load("--footprint", "nan")


def test_the_token_does_not_show_in_what_is_logged() -> None:
    assert "sesame" not in repr(load("--token", "sesame"))


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load("--version")
    assert 0 == caught.value.code
    assert f"muster-agent {__version__}\n" == capsys.readouterr().out


def test_the_package_is_published_under_the_version_that_it_tells() -> None:
    project = Path(settings.__file__).parents[1] / "pyproject.toml"
    assert __version__ == tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]


@pytest.mark.parametrize(
    ("url", "is_exposed"),
    [
        ("https://example.org", False),
        ("http://example.org", True),
        ("http://192.0.2.1:8000", True),
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
    ],
)
def test_plain_http_to_another_machine_is_exposed(url: str, *, is_exposed: bool) -> None:
    assert is_exposed == settings.is_exposed(url)
