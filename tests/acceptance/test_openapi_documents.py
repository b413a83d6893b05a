"""What the OpenAPI documents say is what happens: a short run of `python -m tests.acceptance.openapi.fuzz`."""

import asyncio
from pathlib import Path

from tests.acceptance.openapi.fuzz import SERVICES, UNHURRIED, environment_for, fuzz
from tests.support.installation import installed

# of the resources, which are alike, two; all others in the long run, and the many cases of bounds as well
_SOME = "/(agents|audit|auth|enrolment-tokens|invitations|me|metrics|servers|sync|tokens|users|websites|workspaces)"
SHORT = {
    "api": ("--max-examples=3", f"--include-path-regex={_SOME}"),
    "ingest": ("--max-examples=15",),
}


async def test_the_documents_and_the_services_agree(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent", environment=UNHURRIED) as installation:
        environment = await environment_for(installation)
        for service in SERVICES:
            arguments = ("--phases=fuzzing", "--seed=20", *SHORT[service])
            done = await asyncio.to_thread(fuzz, installation, service, environment, arguments, tmp_path)
            assert 0 == done.returncode, done.stdout + done.stderr
            assert "only 401/403 responses" not in done.stdout, done.stdout
