"""`undrift history`."""

from __future__ import annotations

import click

from undrift.cli import asking, telling
from undrift.cli.showing import history


@click.command("history")
@asking.application(required=False)
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many.")
@telling.output
@asking.socket
def command(application: str | None, limit: int, output: str, socket: str | None) -> int:
    """Show what was done and found, newest first: revision, author, changes, failures."""
    found = asking.agent(socket).history(application, limit)
    if output == "json":
        telling.data(found)
    else:
        telling.show(history.history(found))
    return telling.Exit.OK
