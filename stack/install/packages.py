"""Installs what `requirements.lock` says, and the project itself, into the checkout's `.venv`."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from stack.install import interpreter
from stack.install.agent import OLDEST_PYTHON, AgentPackages
from stack.install.commands import environment, run, succeeds
from stack.install.failure import InstallError
from stack.install.stamps import fingerprint, is_current

# `uv pip sync` has known all that is asked of it since then.
OLDEST_UV = (0, 5)

PROJECTS = (".", "agent", "clients/python")
"""The folders of the packages that are ours, each with its `pyproject.toml`."""


class Packages:
    """The Python packages of one checkout."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._tools = checkout / ".tools"
        self._venv = checkout / ".venv"
        self._stamp = self._venv / ".muster-installed"
        self._uv_lock = checkout / "stack" / "install" / "uv.txt"
        self._variables = environment(self._tools)
        self._agent = AgentPackages(checkout, self._variables)

    def install(self) -> None:
        """Bring `.venv` to what the lock says; do nothing when it is there already. Raises `InstallError`."""
        projects = [f"{project}/pyproject.toml" for project in PROJECTS]
        files = [self._checkout / name for name in ("requirements.lock", *projects)]
        expected = fingerprint(files, str(self._checkout))
        python = str(self._venv / "bin" / "python")
        if not (is_current(self._stamp, expected) and interpreter.is_usable(python)):
            self._install(python, expected)
        if not self._agent.are_current():
            self._agent.gather(self.uv())

    def _install(self, python: str, expected: str) -> None:
        print("Installing the packages of requirements.lock into .venv, which takes a while the first time", flush=True)
        uv = self.uv()
        self._stamp.unlink(missing_ok=True)
        if not interpreter.is_usable(python):
            self._run("making .venv", uv, "venv", "--quiet", "--clear", "--python", interpreter.find(), ".venv")
        self._pip(uv, "sync", "--require-hashes", "requirements.lock")
        # a sync takes away what the lock does not name, so the project comes after it
        editable = [word for project in PROJECTS for word in ("-e", project)]
        self._pip(uv, "install", "--offline", "--no-deps", "--no-build-isolation", *editable)
        self._stamp.write_text(expected, encoding="ascii")

    def lock(self, *options: str) -> None:
        """Write the locks anew; uv's `--upgrade` may be among the options. Raises `InstallError`."""
        projects = [f"{project}/pyproject.toml" for project in PROJECTS]
        self._compile("requirements.lock", *projects, "--extra", "stack", "--group", "dev", *options)
        # the containers get the same releases, without the embedded servers and what tests need
        services = ("deploy/requirements.in", "-c", "requirements.lock")
        self._compile("deploy/requirements.lock", "pyproject.toml", *services, *options)
        self._compile("agent/requirements.lock", "agent/pyproject.toml", *options, python=OLDEST_PYTHON)
        with tempfile.NamedTemporaryFile("w", suffix=".in", encoding="ascii") as wanted:
            wanted.write("uv\n")
            wanted.flush()
            self._compile(str(self._uv_lock), wanted.name, *options)

    def _compile(self, output: str, *wanted: str, python: str = "3.11") -> None:
        form = ("--universal", "--generate-hashes", "--no-annotate", "--no-header", "--quiet")
        self._run("locking", self.uv(), "pip", "compile", *form, "--python-version", python, *wanted, "-o", output)

    def uv(self) -> str:
        """Return the uv to use: the machine's own, or one that is put into `.tools`. Raises `InstallError`."""
        own = shutil.which("uv")
        if own is not None and _version(own) >= OLDEST_UV:
            return own
        folder = self._tools / f"uv-{fingerprint([self._uv_lock])[:12]}"
        if not (folder / "bin" / "uv").exists():
            print("Getting uv into .tools", flush=True)
            self._get_uv(folder)
        return str(folder / "bin" / "uv")

    def _get_uv(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._tools) as temporary:
            target = Path(temporary) / "uv"
            install = [_python_with_pip(interpreter.find(), Path(temporary)), "-m", "pip", "install", "--quiet"]
            exactly = ["--require-hashes", "--only-binary", ":all:", "-r", str(self._uv_lock)]
            self._run("getting uv", *install, *exactly, "--target", str(target))
            target.rename(folder)

    def _pip(self, uv: str, command: str, *arguments: str) -> None:
        python = str(self._venv / "bin" / "python")
        self._run("installing", uv, "pip", command, "--quiet", "--python", python, *arguments)

    def _run(self, what: str, *command: str) -> None:
        run(what, list(command), self._checkout, self._variables)


def _version(uv: str) -> tuple[int, ...]:
    shown = subprocess.run([uv, "--version"], check=False, capture_output=True, text=True)
    numbers = re.search(r"(\d+)\.(\d+)", shown.stdout)
    return tuple(map(int, numbers.groups())) if numbers else ()


def _python_with_pip(python: str, temporary: Path) -> str:
    """Return an interpreter that has pip: a virtual environment's, or the given one where it can make none."""
    if succeeds([python, "-m", "venv", str(temporary / "venv")]):
        return str(temporary / "venv" / "bin" / "python")
    if succeeds([python, "-m", "pip", "--version"]):
        return python
    raise InstallError(
        f"{python} has neither venv nor pip: install one of them (on Debian: python3-venv) or uv, then try again"
    )
