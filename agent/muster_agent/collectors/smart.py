"""What the disks say of their own health, where this user may ask them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from muster_agent.collectors import commands
from muster_agent.collectors.base import LONGEST_LIST

REALLOCATED, PENDING = 5, 197


def smart(
    find: Callable[[str], str | None] = commands.find, run: Callable[..., bytes] = commands.output_of
) -> dict[str, object]:
    """Give `smart`, an entry for each disk that answers; nothing where there is no smartctl, or none that it may ask.

    An entry is `{device, model, healthy, temperature, power_on_hours, worn_percent, reallocated_sectors,
    pending_sectors, media_errors}`, of which a disk knows some. Disks that sleep are left asleep.
    """
    tool = find("smartctl")
    if tool is None:
        return {}
    listed = _object(run([tool, "--json", "--scan"], is_failure=_is_never_failure)).get("devices")
    devices = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    found: list[dict[str, object]] = []
    failures: list[Exception] = []
    for each in devices:
        if len(found) == LONGEST_LIST:
            break
        try:
            entry = _ask(tool, each, run)
        except (commands.CommandFailed, subprocess.TimeoutExpired, ValueError) as error:
            # a disk that does not answer costs only its own entry
            failures.append(error)
        else:
            found += [entry] if entry else []
    if failures and not found:
        raise failures[0]
    return {"smart": found} if found else {}


def entry_of(report: Mapping[str, Any]) -> dict[str, object] | None:
    """Give the entry of a disk from smartctl's report; None where the disk was not asked or told nothing."""
    status, wear = _part(report, "smart_status"), _part(report, "nvme_smart_health_information_log")
    healthy = status.get("passed")
    if not isinstance(healthy, bool):
        return None
    worn = wear.get("percentage_used")
    return {
        "device": _name(_part(report, "device")),
        "model": str(report.get("model_name", "")),
        "healthy": healthy,
        "temperature": _part(report, "temperature").get("current"),
        "power_on_hours": _whole(_part(report, "power_on_time").get("hours")),
        "worn_percent": min(255, worn) if isinstance(worn, int) else None,
        "reallocated_sectors": _attribute(report, REALLOCATED),
        "pending_sectors": _attribute(report, PENDING),
        "media_errors": _whole(wear.get("media_errors")),
    }


def _ask(tool: str, device: Mapping[str, Any], run: Callable[..., bytes]) -> dict[str, object] | None:
    name, kind = str(device.get("name", "")), str(device.get("type", ""))
    # a name is an argument: none that could be a flag
    if not name.startswith("/"):
        return None
    command = [tool, "--json", "--nocheck=standby", "--info", "--health", "--attributes"]
    # it calls what is behind a SATA adapter so as well, and finds out what it is only where it is not told
    command += [f"--device={kind}"] if kind not in {"", "scsi"} else []
    return entry_of(_object(run([*command, name], is_failure=_is_never_failure)))


def _name(device: Mapping[str, Any]) -> str:
    # all disks behind one adapter have the name of the adapter
    is_one_of_several = "," in str(device.get("type", ""))
    return str((device.get("info_name") if is_one_of_several else None) or device.get("name", ""))


def _is_never_failure(exit_code: int) -> bool:
    del exit_code  # bits of it tell of the disk, and who was not asked has no status in the report
    return False


def _attribute(report: Mapping[str, Any], number: int) -> int | None:
    table = _part(report, "ata_smart_attributes").get("table")
    for each in table if isinstance(table, list) else []:
        if isinstance(each, dict) and each.get("id") == number:
            # the upper bytes of some disks count something else
            raw = _whole(_part(each, "raw").get("value"))
            return None if raw is None else raw & 0xFFFF_FFFF
    return None


def _part(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = report.get(name)
    return part if isinstance(part, dict) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _object(printed: bytes) -> dict[str, Any]:
    value = json.loads(printed or b"{}")
    return value if isinstance(value, dict) else {}
