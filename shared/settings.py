"""Settings: one frozen Struct for each concern, read from a mapping such as `os.environ`.

A field's `name` is its variable. Durations may carry a unit: `90`, `90s`, `10m`, `4h`, `7d`.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, field

from shared.errors import MusterError

_Settings = TypeVar("_Settings", bound=msgspec.Struct)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(gt=0)]


class BadSetting(MusterError):
    """A variable of the environment is missing or wrong; the message names it."""

    code = "bad_setting"


def load(kind: type[_Settings], environment: Mapping[str, str]) -> _Settings:
    """Read the fields of `kind` from their variables; raises BadSetting, which names the variable."""
    values: dict[str, object] = {}
    for declared in msgspec.structs.fields(kind):
        text = environment.get(declared.encode_name)
        if text is None or text == "":
            if declared.required:
                raise BadSetting(f"{declared.encode_name} is not set")
            continue
        try:
            values[declared.name] = msgspec.convert(_plain(text, declared.type), declared.type, strict=False)
        except msgspec.ValidationError as error:
            raise BadSetting(f"{declared.encode_name} is {text!r}: {error}") from error
    return kind(**values)


def _plain(text: str, wanted: object) -> str:
    duration = _DURATION.fullmatch(text.strip())
    if wanted == Seconds and duration:
        return str(float(duration[1]) * _UNIT_S[duration[2]])
    return text.strip()


class Servers(msgspec.Struct, frozen=True):
    """Where Redis and PostgreSQL are."""

    redis_url: str = field(name="REDIS_URL")
    database_url: str = field(name="DATABASE_URL")


class Http(msgspec.Struct, frozen=True):
    """Where a process listens."""

    host: str = field(name="HOST", default="127.0.0.1")
    port: Port = field(name="PORT", default=0)


class Logging(msgspec.Struct, frozen=True):
    """How a process logs: `json` for machines, `console` for people."""

    log_format: str = field(name="LOG_FORMAT", default="console")
    log_level: str = field(name="LOG_LEVEL", default="info")


class Liveness(msgspec.Struct, frozen=True):
    """When a silent server counts as offline."""

    offline_after_s: Seconds = field(name="OFFLINE_AFTER", default=60.0)
    sweep_interval_s: Seconds = field(name="SWEEP_INTERVAL", default=10.0)
    disconnect_grace_s: Seconds = field(name="DISCONNECT_GRACE", default=5.0)
    return_grace_s: Seconds = field(name="RETURN_GRACE", default=120.0)
    """Twice the longest that an agent waits between two attempts."""


class StaleAgents(msgspec.Struct, frozen=True):
    """When the registration of an agent that is heard no more is removed, and how often such ones are looked for."""

    agent_stale_threshold_s: Seconds = field(name="AGENT_STALE_THRESHOLD", default=600.0)
    agent_cleanup_interval_s: Seconds = field(name="AGENT_CLEANUP_INTERVAL", default=300.0)


class Journal(msgspec.Struct, frozen=True):
    """How long the events of the journal are kept, and about how many of all workspaces together."""

    events_retention_s: Seconds = field(name="EVENTS_RETENTION", default=604_800.0)
    events_max: Annotated[int, Meta(ge=1)] = field(name="EVENTS_MAX", default=1_000_000)


class History(msgspec.Struct, frozen=True):
    """How long the history of metrics is kept: every sample, and what they amount to in buckets of each length.

    What is made of something finer must be kept at least as long.
    """

    raw_retention_s: Seconds = field(name="HISTORY_RAW_RETENTION", default=172_800.0)
    one_minute_retention_s: Seconds = field(name="HISTORY_1M_RETENTION", default=1_209_600.0)
    quarter_hour_retention_s: Seconds = field(name="HISTORY_15M_RETENTION", default=7_776_000.0)
    one_hour_retention_s: Seconds = field(name="HISTORY_1H_RETENTION", default=34_560_000.0)
    one_day_retention_s: Seconds = field(name="HISTORY_1D_RETENTION", default=157_680_000.0)

    def __post_init__(self) -> None:
        """Raise BadSetting where something coarse would be dropped before what it is made of."""
        named = zip(msgspec.structs.fields(self), msgspec.structs.astuple(self), strict=True)
        for (finer, finer_s), (coarser, coarser_s) in pairwise(named):
            if coarser_s < finer_s:
                raise BadSetting(f"{coarser.encode_name} is shorter than {finer.encode_name}")
