"""Muster's own processes: how each is started, with no more secrets in its environment than it needs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from stack.layout import DataFolder
from stack.program import Program

SCALABLE = ("ingest", "api", "worker", "broadcaster", "sweeper")

# Read by this command, handed to those processes alone that need them.
SECRETS = ("AGENT_SHARED_TOKEN", "MUSTER_ADMIN_PASSWORD", "MUSTER_ENROL_TOKEN")


class Services:
    """Describes the processes of one installation; `environ` is what the person set."""

    def __init__(self, folder: DataFolder, environ: Mapping[str, str], redis_url: str, database_url: str) -> None:
        self._folder = folder
        plain = {name: value for name, value in environ.items() if name not in SECRETS}
        self._environment = {
            "LOG_FORMAT": "json",
            **plain,
            "REDIS_URL": redis_url,
            "DATABASE_URL": database_url,
            "HOST": "127.0.0.1",
            # a proxy for the world outside must not get what is meant for this machine
            "NO_PROXY": _with_loopback(environ.get("NO_PROXY", "")),
            "no_proxy": _with_loopback(environ.get("no_proxy", "")),
        }

    def replicas(self, role: str, ports: Sequence[int], secrets: Mapping[str, str]) -> list[Program]:
        """Describe as many processes of a service as there are ports."""
        names = [role] if len(ports) == 1 else [f"{role}-{number}" for number in range(1, len(ports) + 1)]
        return [
            self._module(
                role,
                f"services.{role}",
                name=name,
                extra={**secrets, "PORT": str(port)},
                url=f"http://127.0.0.1:{port}",
            )
            for name, port in zip(names, ports, strict=True)
        ]

    def setup(self, email: str, password: str | None) -> Program:
        """Describe the step that creates the first workspace and its administrator."""
        extra = {"MUSTER_ADMIN_EMAIL": email}
        if password is not None:
            extra["MUSTER_ADMIN_PASSWORD"] = password
        return self._module("setup", "services.api.setup", extra=extra)

    def agent(self, server_url: str, token: str) -> Program:
        """Describe the agent of this machine."""
        state = str(self._folder.server("agent"))
        arguments = ("--server", server_url, "--state-dir", state)
        return self._module("agent", "muster_agent", *arguments, extra={"MUSTER_ENROL_TOKEN": token})

    def demo(self, server_url: str, token: str, machines: int) -> Program:
        """Describe the simulated machines, which all live in one process."""
        arguments = ("--server", server_url, "--machines", str(machines), "--state", str(self._folder.demo_machines))
        return self._module("demo", "stack.demo", *arguments, extra={"MUSTER_ENROL_TOKEN": token})

    def _module(
        self,
        role: str,
        module: str,
        *arguments: str,
        extra: Mapping[str, str],
        name: str | None = None,
        url: str | None = None,
    ) -> Program:
        return Program(
            name=name or role,
            role=role,
            # -P: what lies in the current folder must not be imported
            argv=(sys.executable, "-P", "-m", module, *arguments),
            environment={**self._environment, **extra},
            log=self._folder.log(name or role),
            url=url,
        )


def _with_loopback(hosts: str) -> str:
    return ",".join(filter(None, [hosts, "localhost", "127.0.0.1", "::1"]))
