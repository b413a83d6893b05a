"""Makes the script that installs an agent: `install.sh`, with what it works with in front. Pure, but for its text.

Every value is quoted for the shell, whatever it is.
"""

import shlex
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from shared.agent_builds import Build, newest

INSTALLER_PATH = "/api/v1/download/install.sh"
_PLACE = "# @settings@\n"


def install_line(server: str, token: str) -> str:
    """Return what is pasted into a shell to install the agent; `token` is letters, digits, `_` and `-`.

    It fails where the download does, which a pipe would not tell, and no command has the token as an argument.
    """
    return f"(echo MUSTER_ENROL_TOKEN={token}; curl -fsSL {server}{INSTALLER_PATH} || echo exit 1) | sudo sh"


def installer(server: str, builds: Iterable[Build], key: str, token: str = "") -> str:
    """Return the script for machines that reach the installation at `server`; `token` lets them enrol."""
    lines = [f"{build.os} {build.arch} {build.version} {build.sha256} {build.glibc or '-'}" for build in newest(builds)]
    values = {"server": server, "key": key, "token": token, "builds": "\n".join(lines)}
    return _template().replace(_PLACE, "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))


@cache
def _template() -> str:
    return Path(__file__).with_name("install.sh").read_text(encoding="ascii")
