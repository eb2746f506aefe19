"""`undrift demo`."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import click

from undrift import errors
from undrift.cli import telling


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the story; the exit code tells whether it came true.")
@click.option(
    "--directory",
    type=click.Path(path_type=pathlib.Path),
    help="Where to play [default: in the state folder].",
)
def command(directory: pathlib.Path | None, *, once: bool) -> int:
    """See it work on this machine: no root, no containers, nothing outside one folder."""
    from undrift.cli.demo import folder, story

    sandbox = folder.Sandbox((directory or _default()).absolute())
    signal.signal(signal.SIGTERM, _interrupt)
    sandbox.clean()
    begun = time.monotonic()
    try:
        told = story.Story(sandbox)
        click.echo(f"Undrift makes what is declared in Git true. Everything happens in {sandbox.root}.")
        told.tell()
        click.echo(f"\nAll of it came true in {time.monotonic() - begun:.0f} s.")
        if not once:
            _stay(told)
    except KeyboardInterrupt:
        click.echo("\nstopping …")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sandbox.stop()
    return telling.Exit.OK


def _stay(told: object) -> None:
    from undrift.cli.demo import story

    if not isinstance(told, story.Story) or told.process is None:
        raise TypeError(told)
    sandbox = told.sandbox
    click.echo(f"""
It goes on until Ctrl-C. Try, in another terminal:

  export UNDRIFT_SOCKET={sandbox.socket}
  undrift status                                  what is where
  undrift logs --follow                           what happens
  echo hacked > {sandbox.stage("staging")}/www/index.html
  cd {sandbox.checkout} && git log --stat         change something, commit and push it
  curl http://127.0.0.1:{told.ports["staging"]}/ http://127.0.0.1:{told.ports["production"]}/
""")
    while told.process.poll() is None:
        time.sleep(0.5)
    raise errors.OrderError("the agent ended", hint=f"see {sandbox.log}")


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


def _default() -> pathlib.Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = pathlib.Path(state) if state.startswith("/") else pathlib.Path("~/.local/state").expanduser()
    return base / "undrift-demo"
