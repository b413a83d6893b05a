"""The memory that the Valkey of `muster up` may take."""

from __future__ import annotations

import pytest

from stack.embedded.memory import valkey_memory_bytes
from stack.errors import StackError

MIB = 1_048_576


@pytest.mark.parametrize(
    ("environ", "machine_mb", "expected_mb"),
    [({}, 4096, 2048), ({}, 100, 64), ({"VALKEY_MEMORY_MB": ""}, 4096, 2048), ({"VALKEY_MEMORY_MB": "300"}, 4096, 300)],
)
def test_it_is_half_of_the_machines_unless_it_is_set(
    environ: dict[str, str], machine_mb: int, expected_mb: int
) -> None:
    assert expected_mb * MIB == valkey_memory_bytes(environ, machine_mb * MIB)


@pytest.mark.parametrize("given", ["63", "-1", "1gb", "1.5", "²", " "])
def test_another_value_names_the_variable(given: str) -> None:
    with pytest.raises(StackError, match="VALKEY_MEMORY_MB"):
        valkey_memory_bytes({"VALKEY_MEMORY_MB": given}, 4096 * MIB)
