"""A machine that has lost its state goes on as the agent that it was, once a person has approved that."""

import json
from pathlib import Path

from tests.acceptance.test_install import the_only, the_server
from tests.support.applier import until
from tests.support.installation import installed
from tests.support.real_agent import running_agent


async def test_machine_without_its_secret_is_the_same_server_once_a_person_approves(tmp_path: Path) -> None:
    before, after = tmp_path / "before" / "credential.json", tmp_path / "after" / "credential.json"

    async def is_kept() -> bool:
        return after.exists()

    async with installed(tmp_path / "muster", "--no-agent") as installation:
        with running_agent(installation, before.parent, name="one"):
            server = await the_server(installation)
        lost = json.loads(before.read_text())
        headers = {"Authorization": f"Bearer {await installation.token()}"}
        with running_agent(installation, after.parent, "--agent-id", lost["agent_id"], name="one"):
            agent = await the_only(installation, "/api/v1/agents/claims", bool)
        assert not after.exists()
        assert lost["agent_id"] == agent["agent_id"]
        approval = {name: agent["claim"][name] for name in ("machine_id", "claimed_at")}
        path = f"/api/v1/agents/{lost['agent_id']}/claim/approval"
        answer = await installation.client.post(path, json=approval, headers=headers)
        assert answer.is_success, answer.text
        # started again it asks at once, not only after a minute
        with running_agent(installation, after.parent, "--agent-id", lost["agent_id"], name="one"):
            await until(is_kept, timeout_s=30)
            assert server["id"] == (await the_server(installation))["id"]
        found = json.loads(after.read_text())
        assert (lost["agent_id"], lost["server_id"]) == (found["agent_id"], found["server_id"])
        assert lost["secret"] != found["secret"]
