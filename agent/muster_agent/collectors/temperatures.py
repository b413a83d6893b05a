"""How warm the machine is, where it has sensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import psutil

from muster_agent.collectors.base import LONGEST_LIST


def read_temperatures() -> dict[str, list[tuple[str, float]]]:
    """Give, for each chip, its sensors' labels (which may be empty) and degrees Celsius."""
    # psutil has this function only on systems that it knows sensors of.
    read = getattr(psutil, "sensors_temperatures", None)
    chips = read() if read else {}
    return {chip: [(each.label, float(each.current)) for each in sensors] for chip, sensors in chips.items()}


def temperatures(
    read: Callable[[], Mapping[str, Sequence[tuple[str, float]]]] = read_temperatures,
) -> dict[str, object]:
    """Give `temperatures`: degrees Celsius by `chip` or `chip/label`, with a number where names repeat."""
    found: dict[str, float] = {}
    for chip, sensors in read().items():
        for label, degrees in sensors:
            found[_free_name(f"{chip}/{label}" if label else chip, found)] = round(degrees, 1)
    return {"temperatures": dict(list(found.items())[:LONGEST_LIST])}


def _free_name(name: str, taken: Mapping[str, float]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free
