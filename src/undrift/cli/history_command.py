"""`undrift history`."""

from __future__ import annotations

import pathlib

import click

from undrift import client
from undrift.cli import showing, telling


@click.command("history")
@click.argument("application", required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=20, help="How many.")
@telling.output
@telling.socket
def command(application: str | None, limit: int, output: str, socket: str | None) -> int:
    """Show what was done and found, newest first: revision, author, changes, failures."""
    found = client.Client(pathlib.Path(socket) if socket else None).history(application, limit)
    if output == "json":
        telling.data(found)
    else:
        for line in showing.history(list(found)):
            click.echo(line)
    return telling.Exit.OK
