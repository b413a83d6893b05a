"""docs/agents.md names every flag of the agent with its variable and its default, and no other."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from muster_agent import settings

DOCUMENT = Path(__file__).parents[3] / "docs" / "agents.md"
_ROW = re.compile(r"^\| `(--[a-z-]+)` \| (?:`([A-Z_]+)`)? ?\| ([^|]*)\| ([^|]*)\|", re.MULTILINE)
_VARIABLE = re.compile(r"MUSTER_[A-Z_]+")

_section = DOCUMENT.read_text(encoding="utf-8").split("## Settings of the agent")[1]
documented = {flag: (variable, default.strip()) for flag, variable, _, default in _ROW.findall(_section)}
declared = {flag: action for action in settings._parser()._actions for flag in action.option_strings if flag != "-h"}


def test_every_flag_is_documented_and_no_other() -> None:
    assert sorted(declared) == sorted(documented)


def test_the_variables_are_those_that_the_help_names() -> None:
    named = {flag: _VARIABLE.findall(action.help or "") for flag, action in declared.items()}
    for flag, variables in named.items():
        if variables:
            assert variables[0] == documented[flag][0], flag


def test_the_defaults_are_those_that_are_documented() -> None:
    for flag, action in declared.items():
        default = action.default
        if isinstance(default, float):
            assert f"`{default:g}`" == documented[flag][1], flag
        elif isinstance(action, argparse._StoreAction) and default:
            assert f"`{default}`" == documented[flag][1], flag


def test_every_variable_that_the_agent_reads_is_documented() -> None:
    read = re.compile(r"""environ(?:\.get\(|\[)["']([A-Z_]+)["']""")
    sources = [file.read_text(encoding="utf-8") for file in Path(settings.__file__).parent.rglob("*.py")]
    # what the agent tells itself, and what other programs say of where they are
    own = {"MUSTER_AGENT_FILE", "PATH", "LD_LIBRARY_PATH_ORIG"}
    found = {name for source in sources for name in read.findall(source)} - own
    assert "MUSTER_AGENT_CACHE" in found
    assert [] == sorted(name for name in found if f"`{name}`" not in _section)
