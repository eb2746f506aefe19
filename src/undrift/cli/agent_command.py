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
    metavar="URL|PATH",
    help="The Git repository with the configuration.",
)
@click.option(
    "--path",
    envvar="UNDRIFT_PATH",
    metavar="FOLDER",
    help="Folder of the configuration in it [default: its root].",
)
@click.option("--branch", envvar="UNDRIFT_BRANCH", metavar="NAME", help="Branch to follow [default: main].")
@click.option(
    "--agent",
    envvar="UNDRIFT_AGENT",
    metavar="NAME",
    help="Which kind: Agent this is, where several are declared.",
)
@click.option(
    "--state-dir",
    envvar="UNDRIFT_STATE_DIR",
    metavar="FOLDER",
    help="What is remembered [default: ~/.local/state/undrift].",
)
@click.option(
    "--socket",
    envvar="UNDRIFT_SOCKET",
    metavar="FILE",
    help="Unix socket to listen on [default: agent.sock in the state folder].",
)
@click.option(
    "--database",
    envvar="UNDRIFT_DATABASE",
    metavar="URL",
    help="sqlite:///… or postgresql://… [default: undrift.db in the state folder].",
)
@click.option(
    "--interval",
    envvar="UNDRIFT_INTERVAL",
    metavar="DURATION",
    help="How often Git is asked for the configuration [default: 30s].",
)
@click.option(
    "--timeout",
    envvar="UNDRIFT_TIMEOUT",
    metavar="DURATION",
    help="How long Git may take for an answer [default: 60s].",
)
@click.option(
    "--age-key-file",
    envvar="UNDRIFT_AGE_KEY_FILE",
    metavar="FILE",
    help="age keys for files encrypted with SOPS.",
)
@click.option(
    "--allow-force-push",
    is_flag=True,
    help="Follow the branch also when its history was rewritten.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log every look, not only what is news.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    help="How to log [default: text on a terminal, else json].",
)
def command(*, verbose: bool, output: str | None, allow_force_push: bool, **given: str | None) -> int:
    """Keep targets true. Everything else is declared in the repository.

    Each option may stand in a variable as well (--state-dir in UNDRIFT_STATE_DIR); how to sign in to the
    repository stands in variables only (UNDRIFT_GIT_TOKEN and others). Ends in order on SIGTERM or Ctrl-C; a
    second one ends at once.
    """
    from undrift.agent import agent, logs
    from undrift.config import decrypting, settings

    options: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if allow_force_push:
        options["allow_force_push"] = True
    read = settings.load(options, os.environ)
    logs.configure(verbose=verbose, text=None if output is None else output == "text")
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(agent.run(read, decrypting.SopsDecryptor(read.age_key_file), _door))
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
