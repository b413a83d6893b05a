"""On a machine with OpenRC and BusyBox the one line installs a service that runs, comes back, and can be removed."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.acceptance.test_install import LEFT, install_line, said_by, the_server
from tests.support.installation import installed
from tests.support.separate_machine import needs, separate_machine, why_impossible


def _why_not() -> str:
    missing = [name for name in ("openrc", "busybox") if not shutil.which(name, path="/usr/sbin:/usr/bin")]
    return why_impossible() or (f"there is no {missing[0]}" if missing else "")


pytestmark = needs(_why_not())

# BusyBox before all else, and no curl: as where these two are at home, but for the C library and its programs for users
_BUSYBOX = "busybox --install -s /usr/local/bin; mount --bind /dev/null /usr/bin/curl"
_OPENRC = """
ln -s /run /var/run
touch /etc/insserv.conf /etc/rc.conf
mkdir -p /sys /etc/init.d /etc/conf.d /etc/runlevels/sysinit /etc/runlevels/boot /etc/runlevels/default
openrc sysinit && openrc boot && openrc default
"""
_AGENT = "pgrep -f '^[^ ]*python.*lib/muster-agent/current'"


async def test_service_runs_comes_back_and_is_removed(tmp_path: Path) -> None:
    async with installed(tmp_path / "muster", "--no-agent") as installation:
        line = (await install_line(installation)).replace("curl -fsSL", "wget -qO-")
        async with separate_machine(tmp_path / "root", urlsplit(installation.ready.url).port or 0) as machine:
            await said_by(machine, f"{_BUSYBOX}; {_OPENRC}")
            assert "(OpenRC)" in await said_by(machine, line)
            assert "separate-machine" == (await the_server(installation))["hostname"]
            assert "muster-agent" == await said_by(machine, f"stat -c %U /proc/$({_AGENT})")
            assert "muster-agent" in await said_by(machine, "rc-update show default")

            killed = await said_by(machine, _AGENT)
            await said_by(machine, f"kill -9 {killed}; while [ -d /proc/{killed} ]; do sleep 0.1; done")
            await said_by(machine, f"until {_AGENT}; do sleep 0.1; done")
            assert "started" in await said_by(machine, "rc-service muster-agent status")

            # again: the same service goes on
            before = await said_by(machine, _AGENT)
            assert "was installed already" in await said_by(machine, line)
            assert before == await said_by(machine, _AGENT)

            await said_by(machine, f"{line} -s -- --uninstall --purge")
            assert "" == (await machine.run(f"{LEFT}; pgrep -f '[m]uster-agent'"))[1]
