"""On a machine with nothing but a Python and curl, the one line installs the agent, and the machine appears."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stack.delivery.build import build_agents
from tests.support.applier import until
from tests.support.installation import EMAIL, PASSWORD, Installation, installed
from tests.support.separate_machine import Machine, needs, separate_machine, why_impossible

_APPEARS_WITHIN_S = 60.0
# what the installer puts on a machine, its user included
LEFT = "find /usr/local /etc /var/lib /var/cache /tmp -name '*muster*' -prune -print; grep muster /etc/passwd"
_RUNS_AS = "ps -eo user:20,args | awk '/current/ && !/awk/ {print $1}'"

pytestmark = needs(why_impossible())


async def install_line(installation: Installation) -> str:
    """Return what an operator is told to paste."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack.cli", "agent", "install-line", "--data-dir", str(installation.data_dir)),
        env=os.environ | {"MUSTER_ADMIN_EMAIL": EMAIL, "MUSTER_ADMIN_PASSWORD": PASSWORD},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode().strip()


async def the_only(installation: Installation, path: str, is_wanted: Callable[[Any], bool]) -> dict[str, Any]:
    """Return the one item of a list that is wanted, once there is any."""
    headers = {"Authorization": f"Bearer {await installation.token()}"}
    found: list[dict[str, Any]] = []

    async def is_there() -> bool:
        answer = await installation.client.get(path, headers=headers)
        found[:] = filter(is_wanted, answer.json()["items"])
        return bool(found)

    await until(is_there, timeout_s=_APPEARS_WITHIN_S)
    (item,) = found
    return item


async def the_server(installation: Installation) -> dict[str, Any]:
    """Return the one server of the installation, once it is online."""
    return await the_only(installation, "/api/v1/servers", lambda server: server["status"] == "online")


def token_of(line: str) -> str:
    """Return the token that the line hands over."""
    return line.split("MUSTER_ENROL_TOKEN=")[1].split(";", maxsplit=1)[0]


async def said_by(machine: Machine, command: str) -> str:
    """Run what must succeed."""
    status, said = await machine.run(command)
    assert status == 0, said
    return said


async def test_one_line_adds_a_machine_and_another_removes_all_of_it(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        line = await install_line(installation)
        plain = line.split("; ")[1].replace(" || echo exit 1)", "")
        async with separate_machine(tmp_path / "root", urlsplit(installation.ready.url).port or 0) as machine:
            status, said = await machine.run(plain)
            assert status == 1, said
            assert "set MUSTER_ENROL_TOKEN" in said

            status, said = await machine.run(line.replace("install.sh", "nothing.sh"))
            assert status == 1, said
            assert "404" in said

            (file,) = installation.data_dir.glob("agents/*-python3-*")
            content = file.read_bytes()
            file.write_bytes(content[:-1] + b"?")
            status, said = await machine.run(f"{line} -s -- --no-service")
            assert status == 1, said
            assert "the download is not what was offered" in said
            assert "" == (await machine.run(LEFT))[1]
            file.write_bytes(content)

            await said_by(machine, f"({line} -s -- --run >/var/log-of-agent 2>&1 &)")
            server = await the_server(installation)
            assert "separate-machine" == server["hostname"]
            assert "muster-agent" == await said_by(machine, _RUNS_AS)
            token = token_of(line)
            assert token not in await said_by(machine, "ps -eo args")
            assert "600 root" == await said_by(machine, "stat -c '%a %U' /etc/muster-agent.env")
            assert token not in await said_by(machine, "cat /etc/muster-agent.env")
            await said_by(machine, "echo MUSTER_AGENT_WITHOUT=smart >>/etc/muster-agent.env")

            # again, without a token: the machine stays who it is, and keeps what people have set
            again = await said_by(machine, f"{plain} -s -- --no-service")
            assert "downloading" not in again
            settings = await said_by(machine, "cat /etc/muster-agent.env")
            assert "MUSTER_ENROL_TOKEN" not in settings
            assert 1 == settings.count("MUSTER_AGENT_WITHOUT=smart")
            assert 1 == settings.count("MUSTER_SERVER=")
            assert "was installed already" in await said_by(machine, f"{plain} -s -- --no-service")

            await said_by(machine, "pkill -u muster-agent && while pgrep -u muster-agent; do sleep 0.1; done")
            kept_copy = await said_by(machine, "cat /usr/local/lib/muster-agent/install.sh")
            assert token not in kept_copy
            await said_by(machine, "sh /usr/local/lib/muster-agent/install.sh --uninstall")
            assert "/var/lib/muster-agent" == (await machine.run(LEFT))[1]
            assert "credential.json" == await said_by(machine, "ls -A /var/lib/muster-agent")
            await said_by(machine, f"{plain} -s -- --uninstall --purge")
            assert "" == (await machine.run(LEFT))[1]


async def test_token_that_is_no_good_leaves_nothing_installed(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        line = await install_line(installation)
        token = token_of(line)
        async with separate_machine(tmp_path / "root", urlsplit(installation.ready.url).port or 0) as machine:
            status, said = await machine.run(f"{line.replace(token, token + 'x')} -s -- --no-service")
            assert status == 1, said
            assert "could not enrol" in said
            assert "" == (await machine.run(LEFT))[1]


async def test_a_machine_without_python_gets_the_agent_that_needs_none(tmp_path: Path) -> None:
    data_dir = tmp_path / "muster"
    await asyncio.to_thread(build_agents, data_dir / "agents", data_dir / "agent-signing-key", ("executable",), print)
    async with installed(data_dir, "--no-agent") as installation:
        line = await install_line(installation)
        async with separate_machine(tmp_path / "root", urlsplit(installation.ready.url).port or 0) as machine:
            await said_by(machine, 'for each in /usr/bin/python3*; do mount --bind /dev/null "$each"; done')
            await said_by(machine, f"({line} -s -- --run >/var/log-of-agent 2>&1 &)")
            assert "separate-machine" == (await the_server(installation))["hostname"]
            assert "linux/x86_64" in await said_by(machine, "cat /var/log-of-agent")
