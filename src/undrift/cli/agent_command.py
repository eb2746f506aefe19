"""`undrift agent`."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from undrift.cli import telling

if TYPE_CHECKING:
    from undrift.agent import worker, world


@click.command("agent")
@click.option(
    "--repository",
    envvar="UNDRIFT_REPOSITORY",
    help="URL or path of the Git repository with the configuration.",
)
@click.option("--path", envvar="UNDRIFT_PATH", help="Folder of the configuration in it [default: its root].")
@click.option("--branch", envvar="UNDRIFT_BRANCH", help="Branch to follow [default: main].")
@click.option("--agent", envvar="UNDRIFT_AGENT", help="Which kind: Agent this is, where there are several.")
@click.option("--state-dir", envvar="UNDRIFT_STATE_DIR", help="Folder for what is remembered.")
@click.option(
    "--socket",
    envvar="UNDRIFT_SOCKET",
    help="Unix socket to listen on [default: agent.sock in the state folder].",
)
@click.option(
    "--database",
    envvar="UNDRIFT_DATABASE",
    help="sqlite:///… or postgresql://… [default: undrift.db in the state folder].",
)
@click.option(
    "--interval",
    envvar="UNDRIFT_INTERVAL",
    help="How often Git is asked for the configuration [default: 30s].",
)
@click.option("--age-key-file", envvar="UNDRIFT_AGE_KEY_FILE", help="age keys for files encrypted with SOPS.")
@click.option("-v", "--verbose", is_flag=True, help="Log every look.")
def command(*, verbose: bool, **options: str | None) -> int:
    """Keep targets true. Everything else is declared in the repository.

    Ends in order on SIGTERM or Ctrl-C; a second one ends at once.
    """
    from undrift.agent import agent, logs
    from undrift.config import settings

    given = settings.load({name: value for name, value in options.items() if value is not None}, os.environ)
    logs.configure(verbose=verbose)
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(agent.run(given, None, _door))
    return telling.Exit.OK


async def _door(shared: world.Shared, working: worker.Worker) -> None:
    """Serve the socket."""
    from undrift.api import app, serving
    from undrift.service import service

    await serving.serve(app.build(service.Service(shared, working)), shared.settings.socket)


def _loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
