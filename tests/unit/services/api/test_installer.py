"""The installer is a good script for every sh, whatever is put into it."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from services.api.installer import installer
from shared.agent_builds import Build

BUILDS = [
    Build(os="any", arch="python3", version="0.1.0", size_bytes=1, sha256="ab" * 32, python="3.9"),
    Build(os="any", arch="python3", version="0.2.0", size_bytes=1, sha256="cd" * 32, python="3.9"),
    Build(os="linux", arch="x86_64", version="0.1.0", size_bytes=1, sha256="ef" * 32, glibc="2.35"),
]
HOSTILE = "'; touch hacked; echo $(touch hacked) `touch hacked` \"\n\\'"
CHECKOUT = Path(__file__).parents[4]
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def run(shell: str, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [shell, *(["sh"] if shell == "busybox" else [])]
    return subprocess.run(
        command, input=script, cwd=folder, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )


def test_it_passes_shellcheck() -> None:
    for script in (
        installer("https://muster.example.org", BUILDS, "a2V5", "me_token"),
        (CHECKOUT / "stack" / "delivery" / "unpack.sh").read_text(encoding="ascii"),
    ):
        done = subprocess.run(
            [shutil.which("shellcheck") or CHECKOUT / ".venv" / "bin" / "shellcheck", "--shell=sh", "-"],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (done.returncode, done.stdout)


def test_it_carries_the_newest_build_of_each_platform() -> None:
    script = installer("https://muster.example.org", BUILDS, "a2V5")
    assert f"builds='any python3 0.2.0 {'cd' * 32} -\nlinux x86_64 0.1.0 {'ef' * 32} 2.35'\n" in script


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_that_is_put_into_it_becomes_a_command(shell: str, tmp_path: Path) -> None:
    script = installer(HOSTILE, BUILDS, HOSTILE, HOSTILE)
    # up to where it begins to work, and then what it holds
    head = script[: script.index("user=muster-agent")]
    done = run(shell, head + 'printf %s "$server$key$token"', tmp_path)
    assert (0, HOSTILE * 3) == (done.returncode, done.stdout)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_that_is_cut_short_does_nothing(shell: str, tmp_path: Path) -> None:
    script = installer("https://muster.example.org", BUILDS, "a2V5", "me_token")
    body = script.rindex("\nmain")
    done = run(shell, script[:body], tmp_path)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--fast", "there is no option --fast"),
        ("--purge", "--purge goes with --uninstall"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(shell: str, arguments: str, complaint: str, tmp_path: Path) -> None:
    script = installer("https://muster.example.org", BUILDS, "a2V5")
    done = run(shell, script.replace('main "$@"', f"main {arguments}"), tmp_path)
    assert (1, "") == (done.returncode, done.stdout)
    assert complaint in done.stderr
    assert 1 == done.stderr.count("\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_what_it_gives_launchd_is_a_property_list_with_the_settings(shell: str, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("MUSTER_SERVER=https://muster.example.org\nHTTPS_PROXY='http://a&b<c>\"'\n")
    script = installer("https://muster.example.org", BUILDS, "a2V5")
    steps = f"scratch='{tmp_path}' command='/usr/bin/python3 /agent'; launchd_plist"
    done = run(shell, script.replace('main "$@"', steps), tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert {
        "Label": "org.muster.agent",
        "UserName": "muster-agent",
        "KeepAlive": True,
        "RunAtLoad": True,
        "ProgramArguments": ["/usr/bin/python3", "/agent"],
        "EnvironmentVariables": {"MUSTER_SERVER": "https://muster.example.org", "HTTPS_PROXY": 'http://a&b<c>"'},
    } == plistlib.loads(done.stdout.encode())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_that_another_user_is_to_run_keeps_its_words(shell: str, tmp_path: Path) -> None:
    # as on Alpine: a setpriv that changes no user
    (tmp_path / "setpriv").write_text("#!/bin/sh\nexit 1\n")
    # -s SHELL -c COMMAND -- USER ARGUMENT...
    (tmp_path / "su").write_text('#!/bin/sh\nshell=$2 command=$4\nshift 6\nexec "$shell" -c "$command" "$@"\n')
    for name in ("setpriv", "su"):
        (tmp_path / name).chmod(0o755)
    script = installer("https://muster.example.org", BUILDS, "a2V5")
    steps = f"PATH='{tmp_path}':$PATH user=root; as_user printf '%s|' 'two words' --flag '$(id)'"
    done = run(shell, script.replace('main "$@"', steps), tmp_path)
    assert (0, "two words|--flag|$(id)|") == (done.returncode, done.stdout)
