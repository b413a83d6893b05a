"""What the graphics processors do: NVIDIA's by their own tool, AMD's by what the kernel shows."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from muster_agent.collectors import commands
from muster_agent.collectors.base import LONGEST_LIST
from muster_agent.collectors.kernel_files import text_of

CARDS = Path("/sys/class/drm")
AMD = "0x1002"
MIB = 1024**2
NVIDIA_TIMEOUT_S = 8.0
# The name comes last, as it may have a comma.
NVIDIA_QUERY = "index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw,name"


def gpus(
    find: Callable[[str], str | None] = commands.find,
    run: Callable[..., bytes] = commands.output_of,
    cards: Path = CARDS,
) -> dict[str, object]:
    """Give `gpus`, a list of `{index, name, percent, mem_used, mem_total, temperature, power_w}`.

    Nothing where there are none. Raises CommandFailed and TimeoutExpired where NVIDIA's tool does not work, and there
    is no card but those it tells of.
    """
    tool = find("nvidia-smi")
    found = amd_gpus(cards)
    if tool:
        command = [tool, f"--query-gpu={NVIDIA_QUERY}", "--format=csv,noheader,nounits"]
        try:
            found += nvidia_gpus(run(command, NVIDIA_TIMEOUT_S).decode(errors="replace"))
        except (commands.CommandFailed, subprocess.TimeoutExpired):
            if not found:
                raise
    return {"gpus": found[:LONGEST_LIST]} if found else {}


def nvidia_gpus(csv: str) -> list[dict[str, object]]:
    """Read what `nvidia-smi --query-gpu` prints; what a card does not tell stands there in words."""
    columns = NVIDIA_QUERY.count(",")
    rows = [line.split(",", columns) for line in csv.splitlines()]
    return [_nvidia_gpu([cell.strip() for cell in row]) for row in rows if len(row) == columns + 1]


def amd_gpus(cards: Path) -> list[dict[str, object]]:
    """Read what the kernel's driver shows of each AMD card."""
    devices = sorted(each / "device" for each in cards.glob("card*") if each.name[len("card") :].isdigit())
    return [_amd_gpu(index, each) for index, each in enumerate(devices) if text_of(each / "vendor") == AMD]


def _nvidia_gpu(row: list[str]) -> dict[str, object]:
    index, percent, mem_used, mem_total, temperature, power_w = map(_number, row[:-1])
    return {
        "index": None if index is None else int(index),
        "name": row[-1],
        "percent": _percent(percent),
        "mem_used": _scaled(mem_used, MIB),
        "mem_total": _scaled(mem_total, MIB),
        "temperature": temperature,
        "power_w": power_w,
    }


def _amd_gpu(index: int, device: Path) -> dict[str, object]:
    sensors = next(iter(sorted(device.glob("hwmon/hwmon*"))), device)
    temperature = _number(text_of(sensors / "temp1_input"))
    # newer cards have no average
    power_w = _number(text_of(sensors / "power1_average") or text_of(sensors / "power1_input"))
    return {
        "index": index,
        "name": text_of(device / "product_name") or "AMD",
        "percent": _percent(_number(text_of(device / "gpu_busy_percent"))),
        "mem_used": _scaled(_number(text_of(device / "mem_info_vram_used")), 1),
        "mem_total": _scaled(_number(text_of(device / "mem_info_vram_total")), 1),
        # sysfs has thousandths of a degree and millionths of a watt
        "temperature": None if temperature is None else round(temperature / 1e3, 1),
        "power_w": None if power_w is None else round(power_w / 1e6, 1),
    }


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError):
        number = float(text)
        # "nan" and "inf" are numbers to Python
        return number if abs(number) < float("inf") else None
    return None


def _percent(number: float | None) -> float | None:
    return None if number is None else min(number, 100.0)


def _scaled(number: float | None, factor: int) -> int | None:
    return None if number is None else int(number * factor)
