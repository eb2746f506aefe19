"""`undrift logs`."""

from __future__ import annotations

import sys

import click

from undrift.cli import asking, telling
from undrift.cli.showing import event


@click.command("logs")
@asking.application(required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as events happen.")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many of the past."
)
@telling.output
@asking.socket
def command(application: str | None, limit: int, output: str, socket: str | None, *, follow: bool) -> int:
    """Show events: revisions, drift, plans applied or stopped, failures, orders."""
    for one in asking.agent(socket).events(application, follow=follow, limit=limit):
        if output == "json":
            telling.line(one)
        else:
            telling.show(event.event(one))
            sys.stdout.flush()
    return telling.Exit.OK
