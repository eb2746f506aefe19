"""The command line answers at once."""

import os
import pathlib
import subprocess
import sys

import pytest

from undrift.cli import exits, main

BUDGET = 1.2  # times the CPU of a Python with asyncio and click, measured beside it
IN_CI = 2.5  # for a command that CI runs, its own help included
FLOOR = [sys.executable, "-c", "import asyncio, click"]
TRIES = 5
IMPORTED = """
import sys
from undrift.cli import main, publish_command
from undrift.publishing import deciding, preparing, running, validating
print(*sys.modules)
"""
BUILT = """
from undrift.config import delivery, part
def below(model):
    return [model, *(each for one in model.__subclasses__() for each in below(one))]
print(*(one.__name__ for one in below(part.Part) if one.__pydantic_complete__))
"""


def cpu_of(command: list[str]) -> float:
    """Seconds of CPU, of user and system, that a command takes."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_utime + usage.ru_stime


def said_by(script: str) -> list[str]:
    """The words that a script prints in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.split()


def ratio_of(*words: str) -> float:
    """How many times the CPU of the floor a command of ours takes; both in turns, so that a busy machine slows both."""
    undrift = str(pathlib.Path(sys.executable).with_name("undrift"))
    pairs = [(cpu_of([undrift, *words]), cpu_of(FLOOR)) for _ in range(TRIES)]
    return min(took for took, _ in pairs) / min(least for _, least in pairs)


def test_help_is_quick() -> None:
    found = ratio_of("--help")

    assert found <= BUDGET, f"undrift --help takes {found:.2f} times its floor, {BUDGET} are allowed"


@pytest.mark.parametrize("name", sorted(exits.COMMANDS & main.COMMANDS.keys()))
def test_a_command_of_ci_starts_quickly(name: str) -> None:
    found = ratio_of(name, "--help")

    assert found <= IN_CI, f"undrift {name} takes {found:.2f} times its floor, {IN_CI} are allowed"


def test_publishing_imports_only_what_a_run_needs() -> None:
    """What a run that finds nothing to do imports is most of what it costs; each of these is for other runs."""
    said = said_by(IMPORTED)
    spared = {
        "undrift.config.documents", "undrift.config.connection", "undrift.config.parsing", "undrift.model.plan",
        "undrift.model.event", "undrift.engine.promoting", "undrift.publishing.calling", "undrift.publishing.hearing",
        "undrift.publishing.reviewing", "undrift.publishing.showing", "undrift.publishing.updating",
        "undrift.publishing.checks.schema", "undrift.renderers.helm", "undrift.sources.oci", "undrift.providers.kubernetes",
        "aiohttp", "importlib.metadata", "jinja2", "semver", "sqlalchemy", "multiprocessing", "http.client", "email.message",
    }  # fmt: skip

    assert spared.isdisjoint(said), sorted(spared & set(said))
    assert "undrift.config.delivery" in said


def test_a_command_of_ci_builds_no_validator_before_it_reads() -> None:
    """Pydantic builds a validator when the first document of its kind is read, and of no other kind."""
    said = said_by(BUILT)

    assert said == []
