"""`undrift demo`."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

import click

from undrift import errors
from undrift.cli import telling

if TYPE_CHECKING:
    from undrift.cli.demo import narrating, story

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PAUSE = 0.2


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the story; the exit code tells whether it came true.")
@click.option(
    "--directory",
    type=click.Path(path_type=pathlib.Path),
    metavar="FOLDER",
    help="Where to play; it is made anew each time [default: ~/.local/state/undrift-demo].",
)
@telling.output
def command(directory: pathlib.Path | None, output: str, *, once: bool) -> int:
    """See it work on this machine: no root, no containers, nothing outside of one folder.

    Each step is done for real, and checked by HTTP requests and by looking at files. Afterwards everything stays
    up, to be tried, until Ctrl-C, which leaves nothing running.

    Exit code 0: every step came true; 1: one did not.
    """
    from undrift.cli.demo import folder, narrating, story

    sandbox = folder.Sandbox((directory or folder.default()).expanduser().absolute())
    narrator = narrating.Narrator(as_json=output == "json")
    told = story.Story(sandbox, narrator)
    came_true = False
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        sandbox.clean()
        narrator.title(
            "Undrift makes what you declare in Git true, and keeps it true.",
            f"Everything happens in {sandbox.root}, and on this machine only.",
        )
        seconds = told.tell()
        came_true = True
        narrator.title(f"\nAll of it came true, in {seconds:.0f} s.")
        if not once:
            _stay(told, narrator)
    except KeyboardInterrupt:
        narrator.title("\nEnding what was started …")
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        sandbox.stop()
    return telling.Exit.OK if came_true else telling.Exit.INTERRUPTED


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


def _stay(told: story.Story, narrator: narrating.Narrator) -> None:
    """Until somebody ends it, or the agent does. Raises `OrderError` for the latter."""
    sandbox, agent = told.sandbox, told.look.process
    narrator.title("It goes on until Ctrl-C. Try this in another terminal:")
    for comment, lines in _tries(told):
        narrator.suggestion(comment, lines)
    while agent is not None and agent.poll() is None:
        time.sleep(_PAUSE)
    raise errors.OrderError("the agent ended", hint=f"see {sandbox.log}")


def _tries(told: story.Story) -> list[tuple[str, list[str]]]:
    """What can be tried, as lines to copy."""
    sandbox = told.sandbox
    root, staging = shlex.quote(str(sandbox.root)), told.url("staging")
    setting = [f"export UNDRIFT_SOCKET={shlex.quote(str(sandbox.socket))}"]
    if shutil.which("undrift") is None:
        setting.append(f"PATH={shlex.quote(str(pathlib.Path(sys.executable).parent))}:$PATH")
    return [
        ("once, in that terminal", [*setting, f"cd {root}"]),
        ("what is where, and what happens", ["undrift status", "undrift logs --follow"]),
        ("drift: it is gone before you look", ["echo hacked > staging/www/index.html", f"curl {staging}"]),
        (
            "a commit of your own, planned before it is pushed",
            [
                "cd checkout && echo '<h1>Mine</h1>' > staging/files/www/index.html",
                "undrift diff . --application website-staging",
                f"git commit -am Mine && git push && sleep 2 && curl {staging}",
            ],
        ),
        ("and back, by a commit as well", ["undrift rollback website-staging --repository ."]),
    ]
