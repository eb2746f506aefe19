"""`undrift plan`."""

from __future__ import annotations

import click

from undrift.cli import planning, telling


@click.command("plan")
@click.argument("subject", metavar="APPLICATION|PATH")
@click.option("--path", default=".", help="With a checkout: the folder of the configuration in it.")
@click.option("--application", help="With a checkout: only this application.")
@telling.output
@telling.socket
def command(subject: str, path: str, application: str | None, output: str, socket: str | None) -> int:
    """Show what would be done: by the agent for an APPLICATION, or from a checkout at PATH.

    Nothing is changed. Exit code 0: nothing to do; 3: differences, or something waits; 1: it cannot be planned.
    """
    options = {"path": path, "application": application, "socket": socket}
    return planning.show(subject, options, output, text=False)
