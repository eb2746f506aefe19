"""`undrift diff`."""

from __future__ import annotations

import click

from undrift.cli import asking, planning, telling


@click.command("diff")
@planning.subject
@telling.output
@asking.socket
def command(
    subject: str | None,
    path: str | None,
    application: str | None,
    since: str | None,
    output: str,
    socket: str | None,
) -> int:
    """Show what differs between Git and the target: `undrift plan`, line by line or field by field.

    Exit code 0: nothing to do; 3: differences, or something waits; 1: it cannot be planned.
    """
    asked = planning.Asked(subject, path, application, since, socket)
    return planning.show(asked, output, text=True)
