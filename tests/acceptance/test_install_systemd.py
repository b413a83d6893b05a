"""On a machine with systemd, the one line installs a service that runs, comes back, and can be removed."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.test_install import LEFT, install_line, said_by, the_server
from tests.support.installation import installed
from tests.support.separate_machine import booted_machine, needs, why_unbootable

pytestmark = needs(why_unbootable())

_UNIT = "/etc/systemd/system/muster-agent.service"
_BROKEN = "/etc/systemd/system/broken.service"
_SMART_ALLOWED = (
    "[Service] SupplementaryGroups=disk AmbientCapabilities=CAP_SYS_RAWIO CapabilityBoundingSet=CAP_SYS_RAWIO"
)
_CAP_SYS_RAWIO = 17
_PID = "systemctl show --property MainPID --value muster-agent"


async def test_service_runs_comes_back_and_is_removed(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        line = await install_line(installation)
        async with booted_machine(tmp_path / "root", urlsplit(installation.ready.url).port or 0) as machine:
            said = await said_by(machine, line)
            assert "systemd" in said
            assert "separate-machine" == (await the_server(installation))["hostname"]
            assert "active" == await said_by(machine, "systemctl is-active muster-agent")
            assert "enabled" == await said_by(machine, "systemctl is-enabled muster-agent")
            assert "muster-agent" == await said_by(machine, f"ps -o user:20= -p $({_PID})")
            assert "" == await said_by(machine, "systemd-analyze verify muster-agent.service")

            killed = await said_by(machine, _PID)
            await said_by(machine, f"kill -9 {killed}")
            again = f"until [ $({_PID}) != {killed} ] && [ $({_PID}) != 0 ]; do sleep 0.1; done"
            await said_by(machine, again)
            assert "active" == await said_by(machine, "systemctl is-active muster-agent")

            await said_by(machine, f"printf '%s\n' [Service] Type=oneshot ExecStart=/bin/false >{_BROKEN}")
            assert 1 == (await machine.run("systemctl daemon-reload; systemctl start broken"))[0]
            sample = await said_by(
                machine, "MUSTER_AGENT_CACHE=/root/cache python3 /usr/local/lib/muster-agent/current --once"
            )
            assert ["broken.service"] == json.loads(sample)["failed_units"]

            # again: the same service goes on
            before = await said_by(machine, _PID)
            assert "was installed already" in await said_by(machine, line)
            assert before == await said_by(machine, _PID)

            # what it may not do by itself can be allowed as docs/agents.md says
            await said_by(machine, f"mkdir {_UNIT}.d; printf '%s\n' {_SMART_ALLOWED} >{_UNIT}.d/override.conf")
            await said_by(machine, "groupadd --system disk; systemctl daemon-reload; systemctl restart muster-agent")
            rights = f"/proc/$({_PID})/status"
            # systemd says that it runs before it has given up its own rights and become the agent
            await said_by(machine, f"until grep -q '^CapEff:.{1 << _CAP_SYS_RAWIO:016x}$' {rights}; do sleep 0.1; done")
            assert "disk" in await said_by(machine, f"getent group $(sed -n 's/^Groups:\\s*//p' {rights})")

            # without a credential only a person can help: it ends, and stays so
            await said_by(machine, "systemctl stop muster-agent; mv /var/lib/muster-agent/credential.json /root")
            await said_by(machine, f"systemctl start muster-agent; until [ $({_PID}) = 0 ]; do sleep 0.1; done")
            assert "failed" == (await machine.run("systemctl is-failed muster-agent"))[1]
            assert "is not enrolled yet" in await said_by(machine, "journalctl -u muster-agent -n 5 -o cat")

            await said_by(machine, f"{line} -s -- --uninstall --purge")
            assert "inactive" == (await machine.run("systemctl is-active muster-agent"))[1]
            assert "" == (await machine.run(f"{LEFT}; pgrep -af '[m]uster-agent'"))[1]
