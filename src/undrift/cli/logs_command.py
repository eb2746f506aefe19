"""`undrift logs`."""

from __future__ import annotations

import json
import pathlib

import click

from undrift import client
from undrift.cli import showing, telling


@click.command("logs")
@click.argument("application", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as events happen.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, help="How many of the past.")
@telling.output
@telling.socket
def command(application: str | None, limit: int, output: str, socket: str | None, *, follow: bool) -> int:
    """Show events: revisions, drift, plans applied or stopped, failures, orders."""
    agent = client.Client(pathlib.Path(socket) if socket else None)
    for one in agent.events(application, follow=follow, limit=limit):
        click.echo(json.dumps(one) if output == "json" else showing.event(one))
    return telling.Exit.OK
