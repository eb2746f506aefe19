"""The command line answers at once."""

import os
import pathlib
import sys

import pytest

from undrift.cli import exits, main

BUDGET = 0.120  # seconds of CPU
IN_CI = 0.250  # for a command that CI runs, its own help included
TRIES = 5


def cpu_of(command: list[str]) -> float:
    """Seconds of CPU, of user and system, that a command takes."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_utime + usage.ru_stime


def test_help_is_quick() -> None:
    undrift = pathlib.Path(sys.executable).with_name("undrift")
    best = min(cpu_of([str(undrift), "--help"]) for _ in range(TRIES))

    assert best <= BUDGET, (
        f"undrift --help takes {best * 1000:.0f} ms of CPU, {BUDGET * 1000:.0f} are allowed"
    )


@pytest.mark.parametrize("name", sorted(exits.COMMANDS & main.COMMANDS.keys()))
def test_a_command_of_ci_starts_quickly(name: str) -> None:
    undrift = pathlib.Path(sys.executable).with_name("undrift")
    best = min(cpu_of([str(undrift), name, "--help"]) for _ in range(TRIES))

    assert best <= IN_CI, f"undrift {name} takes {best * 1000:.0f} ms of CPU, {IN_CI * 1000:.0f} are allowed"
