"""Reads the agent's flags and environment into one frozen value, and says in one line what is wrong with them."""

from __future__ import annotations

import argparse
import ipaddress
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from muster_agent import __version__, channel
from muster_agent.collectors import catalogue
from muster_agent.errors import SettingsError
from muster_agent.update import settings as update_settings
from muster_agent.update.settings import UpdateSettings

DEFAULT_INTERVAL_S = 5.0
SHORTEST_INTERVAL_S = 0.1
LONGEST_INTERVAL_S = 3600.0
# What ingest takes for an id; empty: no id was given.
_AGENT_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")
LOG_LEVELS = ("debug", "info", "warning", "error")
LONGEST_NAME = 200
DEFAULT_KEEP_HOURS = 24.0
LONGEST_KEEP_HOURS = 24.0 * 366
DEFAULT_KEEP_MB = 50.0
LARGEST_KEEP_MB = 100_000.0
DEFAULT_FOOTPRINT_S = 60.0
LONGEST_FOOTPRINT_S = 86_400.0


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `server_url` has no trailing slash; empty means: the one enrolled with.

    `without` are the collectors that are turned off. With a `footprint_s` the agent measures itself for so long.
    """

    server_url: str
    token: str = field(repr=False)
    state_dir: Path
    interval_s: float
    name: str
    log_level: str
    once: bool
    update: UpdateSettings
    without: frozenset[str] = frozenset()
    footprint_s: float | None = None
    transport: str = channel.AUTO
    keep_hours: float = DEFAULT_KEEP_HOURS
    keep_mb: float = DEFAULT_KEEP_MB
    agent_id: str = ""


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing the whole usage and exiting, so that a mistake costs the user one line to read."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def load(arguments: Sequence[str], environ: Mapping[str, str], *, is_root: bool) -> Settings:
    """Read the command line, then the environment for what it leaves out, then the defaults.

    Raises SettingsError naming the flag or variable at fault. `--help` and `--version` print and exit.
    """
    given = _parser().parse_args(arguments)
    return Settings(
        server_url=_server_url(given.server, environ),
        token=_first(given.token, environ.get("MUSTER_ENROL_TOKEN")),
        state_dir=_state_dir(given.state_dir, environ, is_root=is_root),
        interval_s=given.interval,
        name=_name(given.name),
        log_level=given.log_level,
        once=given.once,
        update=update_settings.read(given, environ),
        without=_without(given.without, environ),
        footprint_s=given.footprint,
        transport=_transport(given.transport, environ),
        keep_hours=_amount(given.keep_hours, "--keep-hours", environ, DEFAULT_KEEP_HOURS, LONGEST_KEEP_HOURS),
        keep_mb=_amount(given.keep_mb, "--keep-mb", environ, DEFAULT_KEEP_MB, LARGEST_KEEP_MB),
        agent_id=_agent_id(given.agent_id, environ),
    )


def is_valid_interval(interval_s: float) -> bool:
    """Tell whether samples can be taken every `interval_s` seconds."""
    return math.isfinite(interval_s) and SHORTEST_INTERVAL_S <= interval_s <= LONGEST_INTERVAL_S


def is_exposed(server_url: str) -> bool:
    """Tell whether what is sent to this URL can be read on the way: plain HTTP to another machine."""
    url = urlsplit(server_url)
    if url.scheme == "https":
        return False
    host = url.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost" and not host.endswith(".localhost")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="muster-agent",
        description="Measures this machine and reports to a Muster server. Reads only.",
        epilog=f"What --without can turn off: {', '.join(catalogue.NAMES)}.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--server", metavar="URL", help="the server, e.g. https://muster.example.org (MUSTER_SERVER)")
    add("--token", metavar="TOKEN", help="enrolment token, for the first start only (MUSTER_ENROL_TOKEN)")
    add("--state-dir", metavar="DIR", help="where the credential is kept (MUSTER_AGENT_STATE_DIR)")
    add(
        "--interval",
        metavar="S",
        type=_interval_s,
        default=DEFAULT_INTERVAL_S,
        help="seconds between samples (default 5); the server may decide on another",
    )
    add("--name", metavar="NAME", default="", help="how the server shall call this machine (default: hostname)")
    add("--agent-id", metavar="ID", help="enrol as this agent, which has lost its secret (MUSTER_AGENT_ID)")
    add("--transport", metavar="HOW", help="auto, stream or http (default auto) (MUSTER_AGENT_TRANSPORT)")
    add(
        "--keep-hours",
        metavar="H",
        help="of an outage, keep this long in detail (default 24) (MUSTER_AGENT_KEEP_HOURS)",
    )
    add("--keep-mb", metavar="MB", help="and at most this much on disk (default 50) (MUSTER_AGENT_KEEP_MB)")
    add("--log-level", choices=LOG_LEVELS, default="info", help="how much to say on stderr (default info)")
    add("--without", metavar="NAME[,NAME]", help="what not to measure, see below (MUSTER_AGENT_WITHOUT)")
    add(
        "--footprint",
        metavar="S",
        type=_footprint_s,
        nargs="?",
        const=DEFAULT_FOOTPRINT_S,
        help="measure for S seconds (60) without any server, print what that took, and exit",
    )
    add("--once", action="store_true", help="print one sample as JSON, without any server, and exit")
    update_settings.add_flags(parser)
    add("--version", action="version", version=f"muster-agent {__version__}")
    return parser


def _interval_s(text: str) -> float:
    try:
        interval_s = float(text)
    except ValueError:
        interval_s = math.nan
    if not is_valid_interval(interval_s):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds from {SHORTEST_INTERVAL_S:g} to {LONGEST_INTERVAL_S:g}"
        )
    return interval_s


def _footprint_s(text: str) -> float:
    try:
        duration_s = float(text)
    except ValueError:
        duration_s = math.nan
    if not 1 <= duration_s <= LONGEST_FOOTPRINT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to {LONGEST_FOOTPRINT_S:g}")
    return duration_s


def _transport(given: str | None, environ: Mapping[str, str]) -> str:
    text = _first(given, environ.get("MUSTER_AGENT_TRANSPORT")) or channel.AUTO
    if text not in channel.CHOICES:
        source = "argument --transport" if given else "MUSTER_AGENT_TRANSPORT"
        raise SettingsError(f"{source}: {text!r} is none of {', '.join(channel.CHOICES)}")
    return text


def _amount(given: str | None, flag: str, environ: Mapping[str, str], default: float, most: float) -> float:
    variable = "MUSTER_AGENT" + flag[1:].replace("-", "_").upper()
    text = _first(given, environ.get(variable))
    if not text:
        return default
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 < amount <= most:
        source = f"argument {flag}" if given else variable
        raise SettingsError(f"{source}: {text!r} is not a number above 0 and up to {most:g}")
    return amount


def _server_url(given: str | None, environ: Mapping[str, str]) -> str:
    text = _first(given, environ.get("MUSTER_SERVER"))
    if not text:
        return ""
    source = "argument --server" if given else "MUSTER_SERVER"
    if not _is_server_url(text):
        raise SettingsError(f"{source}: {text!r} is not a URL such as https://muster.example.org")
    return text.rstrip("/")


def _is_server_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        # a port out of bounds, or brackets without an IPv6 address
        return False
    has_more = bool(url.query or url.fragment or "@" in url.netloc)
    is_plain = text.isprintable() and " " not in text
    return url.scheme in {"http", "https"} and bool(url.hostname) and port != 0 and is_plain and not has_more


def _without(given: str | None, environ: Mapping[str, str]) -> frozenset[str]:
    source = "argument --without" if given else "MUSTER_AGENT_WITHOUT"
    text = _first(given, environ.get("MUSTER_AGENT_WITHOUT"))
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    unknown = ", ".join(repr(name) for name in sorted(names - set(catalogue.NAMES)))
    if unknown:
        raise SettingsError(f"{source}: nothing is called {unknown}; there are {', '.join(catalogue.NAMES)}")
    if names >= catalogue.INDISPENSABLE:
        raise SettingsError(f"{source}: one of {', '.join(sorted(catalogue.INDISPENSABLE))} has to stay")
    return names


def _state_dir(given: str | None, environ: Mapping[str, str], *, is_root: bool) -> Path:
    text = _first(given, environ.get("MUSTER_AGENT_STATE_DIR"))
    if text:
        return Path(text).absolute()
    if is_root:
        return Path("/var/lib/muster-agent")
    state_home = Path(environ.get("XDG_STATE_HOME", ""))
    # A relative path there is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
    if state_home.is_absolute():
        return state_home / "muster-agent"
    home, windows_data = Path(environ.get("HOME", "")), Path(environ.get("LOCALAPPDATA", ""))
    if home.is_absolute():
        return home / ".local" / "state" / "muster-agent"
    if windows_data.is_absolute():
        return windows_data / "muster-agent"
    raise SettingsError("there is no HOME to keep the credential below: give --state-dir")


def _name(given: str) -> str:
    name = given.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise SettingsError(f"argument --name: at most {LONGEST_NAME} printable characters")
    return name


def _agent_id(given: str | None, environ: Mapping[str, str]) -> str:
    agent_id = _first(given, environ.get("MUSTER_AGENT_ID"))
    if not _AGENT_ID.fullmatch(agent_id):
        source = "argument --agent-id" if given else "MUSTER_AGENT_ID"
        raise SettingsError(f"{source}: {agent_id!r} is not the id of an agent")
    return agent_id


def _first(given: str | None, from_environment: str | None) -> str:
    return (given or from_environment or "").strip()
