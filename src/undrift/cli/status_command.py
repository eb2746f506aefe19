"""`undrift status`."""

from __future__ import annotations

import pathlib
import shutil
import time

import click

from undrift import client
from undrift.cli import showing, telling

_PAUSE = 1.0


@click.command("status")
@click.argument("application", required=False)
@click.option("--watch", is_flag=True, help="Redraw every second until Ctrl-C.")
@telling.output
@telling.socket
def command(application: str | None, output: str, socket: str | None, *, watch: bool) -> int:
    """Show every application at a glance, or one in full.

    Exit code 0: all in sync; 3: something drifts, waits or fails.
    """
    agent = client.Client(pathlib.Path(socket) if socket else None)
    while True:
        shown, code = _look(agent, application, output)
        if watch:
            click.clear()
        click.echo(shown)
        if not watch:
            return code
        time.sleep(_PAUSE)


def _look(agent: client.Client, application: str | None, output: str) -> tuple[str, int]:
    if application:
        one = agent.application(application)
        fine = one["state"] == "in sync"
        text = _json(one) if output == "json" else "\n".join(showing.application(one))
        return text, telling.Exit.OK if fine else telling.Exit.DIFFERENT
    found = agent.status()
    fine = all(one["state"] == "in sync" for one in found)
    width = shutil.get_terminal_size((120, 24)).columns
    text = _json(found) if output == "json" else "\n".join(showing.status(found, width))
    return text, telling.Exit.OK if fine else telling.Exit.DIFFERENT


def _json(found: object) -> str:
    import json

    return json.dumps(found, indent=2, ensure_ascii=False)
