"""How much is left in the battery, on machines that have one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from muster_agent.collectors.kernel_files import text_of

POWER_SUPPLIES = Path("/sys/class/power_supply")

# psutil's words for "plugged in" and "unknown" are negative; a number beyond this is no estimate.
LONGEST_LEFT_S = 30 * 86_400


def read_battery() -> Any:  # noqa: ANN401 - psutil ships no types
    """Give psutil's battery, None where there is none or psutil does not know this system's."""
    read = getattr(psutil, "sensors_battery", None)
    return read() if read and not is_of_a_device(POWER_SUPPLIES) else None


def is_of_a_device(supplies: Path) -> bool:
    """Whether the battery that psutil would take, the first by name, is that of a mouse or the like.

    See https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-power for `scope`.
    """
    batteries = [each for each in supplies.glob("*") if each.name.startswith("BAT") or "battery" in each.name.lower()]
    # that of a laptop says nothing of it
    return bool(batteries) and text_of(min(batteries) / "scope") == "Device"


def battery(read: Callable[[], Any] = read_battery) -> dict[str, object]:
    """Give `battery`: `{percent, plugged, left_s}`, the last only while it is known and the battery is in use."""
    found = read()
    if found is None:
        return {}
    left_s = found.secsleft
    is_known = isinstance(left_s, (int, float)) and 0 <= left_s <= LONGEST_LEFT_S
    return {
        "battery": {
            "percent": round(min(float(found.percent), 100.0), 1),
            "plugged": None if found.power_plugged is None else bool(found.power_plugged),
            "left_s": int(left_s) if is_known and not found.power_plugged else None,
        }
    }
