"""`undrift resume`."""

from __future__ import annotations

import pathlib

import click

from undrift import client
from undrift.cli import telling


@click.command("resume")
@click.argument("application")
@telling.output
@telling.socket
def command(application: str, output: str, socket: str | None) -> int:
    """End a hold; or let an application go on after the database was lost."""
    found = client.Client(pathlib.Path(socket) if socket else None).resume(application)
    if output == "json":
        telling.data(found)
    else:
        click.echo(f"{application}: goes on")
    return telling.Exit.OK
