"""The signing key is made once, for its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.delivery.signing import kept_key, public_text
from stack.errors import StackError


def test_the_key_is_made_on_first_use_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "key"
    first = public_text(kept_key(file))
    assert (first, 0o600) == (public_text(kept_key(file)), file.stat().st_mode & 0o777)
    assert first not in file.read_text(encoding="ascii")


@pytest.mark.parametrize("content", ["", "c2hvcnQ=", "*"])
def test_a_file_without_a_key_is_not_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content, encoding="ascii")
    with pytest.raises(StackError, match="holds no signing key"):
        kept_key(file)
    assert content == file.read_text(encoding="ascii")
