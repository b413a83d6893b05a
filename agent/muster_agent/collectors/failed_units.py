"""Which units of systemd have failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from muster_agent.collectors import commands
from muster_agent.collectors.base import LONGEST_LIST

# There while systemd is the init system: sd_booted(3).
SYSTEMD_RUNS = Path("/run/systemd/system")


def failed_units(
    find: Callable[[str], str | None] = commands.find,
    run: Callable[..., bytes] = commands.output_of,
    systemd_runs: Path = SYSTEMD_RUNS,
) -> dict[str, object]:
    """Give `failed_units`, a list of names, empty where none has failed; nothing where there is no systemd.

    Raises CommandFailed and TimeoutExpired where systemd does not answer.
    """
    tool = find("systemctl")
    if tool is None or not systemd_runs.is_dir():
        return {}
    command = [tool, "list-units", "--failed", "--output=json", "--plain", "--no-legend", "--no-pager"]
    return {"failed_units": unit_names(run(command).decode(errors="replace"))[:LONGEST_LIST]}


def unit_names(printed: str) -> list[str]:
    """Read what systemctl prints: JSON, or, before version 246, a table with the names in its first column."""
    if printed.lstrip().startswith("["):
        listed = json.loads(printed)
        names = [each.get("unit") for each in listed if isinstance(each, dict)]
        return [name for name in names if isinstance(name, str)]
    return [line.split()[0] for line in printed.splitlines() if line.strip()]
