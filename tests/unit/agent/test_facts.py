"""What a handshake tells."""

from __future__ import annotations

import math
from collections.abc import Mapping

from muster_agent import __version__
from muster_agent.collectors.base import CollectorGroup, Plan, Reading
from muster_agent.facts import Facts


class Machine:
    """A machine whose facts can be changed."""

    def __init__(self) -> None:
        self.os: dict[str, object] = {"name": "Debian"}
        self.inventory: dict[str, object] = {"cores": 2, "boot_time": "2026-01-01T00:00:00Z"}

    def facts(self) -> Facts:
        return Facts("boot-1", 5.0, group(lambda: self.os), group(lambda: self.inventory))


def group(read: object) -> CollectorGroup:
    assert callable(read)
    return CollectorGroup([Reading("anything", read)])


def test_a_handshake_holds_the_process_and_the_machine() -> None:
    expected: Mapping[str, object] = {
        "boot_id": "boot-1",
        "agent_version": __version__,
        "interval_s": 5.0,
        "os": {"name": "Debian"},
        "inventory": {"cores": 2, "boot_time": "2026-01-01T00:00:00Z"},
    }
    assert expected == Machine().facts().read()


def test_nothing_has_changed_right_after_reading() -> None:
    facts = Machine().facts()
    facts.read()
    assert not facts.have_changed()


def test_a_change_is_noticed_until_it_has_been_read() -> None:
    machine = Machine()
    facts = machine.facts()
    facts.read()
    machine.os["name"] = "Debian, upgraded"
    assert facts.have_changed()
    assert facts.have_changed()
    facts.read()
    assert not facts.have_changed()
    machine.inventory["cores"] = 4
    assert facts.have_changed()


def test_what_cannot_be_read_for_once_has_not_changed() -> None:
    results = iter([{"cores": 2}, None, {"cores": 4}])

    def flaky() -> Mapping[str, object]:
        fields = next(results)
        if fields is None:
            raise OSError(5, "Input/output error")
        return fields

    reading = Reading("processor", flaky)
    facts = Facts("boot-1", 5.0, group(dict), CollectorGroup([Plan(lambda: reading, keep_s=math.inf)]))
    facts.read()
    assert not facts.have_changed()
    assert facts.have_changed()


def test_setting_the_clock_is_no_change_of_the_machine() -> None:
    machine = Machine()
    facts = machine.facts()
    facts.read()
    machine.inventory["boot_time"] = "2026-01-01T00:00:01Z"
    assert not facts.have_changed()
