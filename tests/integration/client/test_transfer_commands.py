"""`muster export` and `muster import` as a person or a script uses them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.support.installation import EMAIL, PASSWORD, installed

PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
SIGNED_IN = {"MUSTER_EMAIL": EMAIL, "MUSTER_PASSWORD": PASSWORD}


async def muster(*arguments: str, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "stack.cli", *arguments),
        env={**PLAIN, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_a_list_goes_out_and_comes_in_again(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "tags.csv"
    async with installed(data, "--no-agent") as installation:
        here = ("--data-dir", str(data))
        file.write_text('name,color\nhot,#ff0000\n=cmd,\n"bad\x1b[2J",\n')
        status, said, _ = await muster("import", "tags", str(file), *here, **SIGNED_IN)
        assert (1, "Nothing is imported: 1 faults") == (status, said.splitlines()[-1])
        assert said.startswith("line 4: name: ")
        file.write_text("name,color\nhot,#ff0000\n=cmd,\n")
        status, said, _ = await muster("import", "tags", str(file), "--dry-run", *here, **SIGNED_IN)
        assert (0, "It would be 2 created, 0 changed, 0 unchanged") == (status, said.splitlines()[-1])
        status, said, _ = await muster("import", "tags", str(file), "--mode", "create", *here, **SIGNED_IN)
        assert (0, "2 created, 0 changed, 0 unchanged\n") == (status, said)
        status, said, _ = await muster("export", "tags", "--url", installation.ready.url, **SIGNED_IN)
        assert (0, ["id,version,name,color,position"]) == (status, said.splitlines()[:1])
        assert ",'=cmd,,0" in said
        again = tmp_path / "again"
        again.write_text(said.replace("#ff0000", "#00ff00"))
        status, said, _ = await muster("import", "tags", str(again), "--format", "csv", *here, **SIGNED_IN)
        assert (0, "0 created, 1 changed, 1 unchanged\n") == (status, said)
        headers = {"Authorization": f"Bearer {await installation.token()}"}
        log = await installation.client.get("/api/v1/audit/export", headers=headers, params={"resource": "tags"})
        entries = [json.loads(entry) for entry in log.text.splitlines()]
        assert ["created", "created", "updated"] == [entry["action"] for entry in entries]
        assert {"127.0.0.1", "::1"} >= {entry["origin"] for entry in entries}
        assert "" not in {entry["request_id"] for entry in entries}
        lists = f"{installation.ready.url}/api/v1"
        for arguments, environment, complaint in (
            (("import", "tags", str(again), *here), SIGNED_IN, f"{again} ends neither with .csv nor with .json"),
            (("import", "tags", str(tmp_path / "no.csv"), *here), SIGNED_IN, f"cannot read {tmp_path / 'no.csv'}"),
            (
                ("export", "nothing", *here),
                SIGNED_IN,
                f"{lists}/nothing/export?format=csv answers 404",
            ),
            (("export", "tags", "--url", installation.ready.url), {}, "set MUSTER_TOKEN, or MUSTER_EMAIL"),
            (("export", "tags", *here), {"MUSTER_TOKEN": "x"}, f"{lists}/tags/export"),
        ):
            status, _, said = await muster(*arguments, **environment)
            assert (1, 1) == (status, said.count("\n")), said
            assert said.startswith(f"muster: {complaint}"), said
