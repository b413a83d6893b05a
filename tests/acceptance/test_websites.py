"""The acceptance list for websites holds."""

from pathlib import Path

from tests.acceptance.websites import accept
from tests.support.installation import installed


async def test_every_step_holds(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        steps, checks = await accept(installation)
    assert steps >= 12
    assert checks >= 15
