"""On a machine with systemd, the one line installs a service that runs, comes back, and can be removed."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.test_install import LEFT, install_line, said_by, the_server
from tests.support.installation import installed
from tests.support.separate_machine import booted_machine, needs, why_unbootable

pytestmark = needs(why_unbootable())

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

            # again: the same service goes on
            before = await said_by(machine, _PID)
            assert "was installed already" in await said_by(machine, line)
            assert before == await said_by(machine, _PID)

            await said_by(machine, f"{line} -s -- --uninstall --purge")
            assert "inactive" == (await machine.run("systemctl is-active muster-agent"))[1]
            assert "" == (await machine.run(f"{LEFT}; pgrep -af '[m]uster-agent'"))[1]
