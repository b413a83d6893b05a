"""The flags and variables that say whether and how the agent brings itself up to date."""

from __future__ import annotations

import argparse
import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass

from muster_agent.errors import SettingsError

DEFAULT_INTERVAL_S = 14_400.0
DEFAULT_TRIAL_S = 120.0
KEY_BYTES = 32
SHORTEST_S = 1.0
LONGEST_S = 604_800.0


@dataclass(frozen=True)
class UpdateSettings:
    """Whether to look for updates, every `interval_s`, and how long a new build has to report. `key` is Ed25519's."""

    is_on: bool = False
    key: bytes = b""
    interval_s: float = DEFAULT_INTERVAL_S
    trial_s: float = DEFAULT_TRIAL_S
    check_only: bool = False


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags to the agent's."""
    group = parser.add_argument_group("updates")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--update",
        action="store_true",
        default=None,
        help="take newer agents from the server, signed with the key (MUSTER_AGENT_UPDATE=1)",
    )
    either.add_argument("--no-update", dest="update", action="store_false", help="do not (default)")
    group.add_argument(
        "--update-key",
        metavar="KEY",
        help="the key that agents are signed with, in base64 (MUSTER_AGENT_UPDATE_KEY)",
    )
    group.add_argument(
        "--update-interval",
        metavar="S",
        type=_seconds,
        default=DEFAULT_INTERVAL_S,
        help="seconds between two looks for an update (default 14400), up to a fifth more or less",
    )
    group.add_argument(
        "--update-trial",
        metavar="S",
        type=_seconds,
        default=DEFAULT_TRIAL_S,
        help="seconds that a new agent has to report before the old one comes back (default 120)",
    )
    group.add_argument(
        "--check-update",
        action="store_true",
        help="look for an update once, keep it to be tried, and exit: 10 when there is one, 0 when there is none",
    )


def read(given: argparse.Namespace, environ: Mapping[str, str]) -> UpdateSettings:
    """Read what was given. Raises SettingsError."""
    is_on = given.update if given.update is not None else _is_set(environ.get("MUSTER_AGENT_UPDATE", ""))
    text = given.update_key or environ.get("MUSTER_AGENT_UPDATE_KEY", "")
    source = "argument --update-key" if given.update_key else "MUSTER_AGENT_UPDATE_KEY"
    key = _key(text, source) if text else b""
    if (is_on or given.check_update) and not key:
        raise SettingsError("updates need the key that they are signed with: give --update-key")
    return UpdateSettings(is_on, key, given.update_interval, given.update_trial, given.check_update)


def _is_set(text: str) -> bool:
    if text not in {"", "0", "1"}:
        raise SettingsError(f"MUSTER_AGENT_UPDATE: {text!r} is neither 0 nor 1")
    return text == "1"


def _key(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{source}: not the base64 of {KEY_BYTES} bytes")
    return key


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from {SHORTEST_S:g} to {LONGEST_S:g}")
    return seconds
