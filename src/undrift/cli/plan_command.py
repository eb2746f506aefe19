"""`undrift plan`."""

from __future__ import annotations

import click

from undrift.cli import asking, planning, telling


@click.command("plan")
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
    """Show what would be done: by the agent, or from a checkout.

    For an APPLICATION (without one: for all) the agent looks at the target now. With a PATH (it has a slash in
    it, or is a dot) a checkout is planned as it stands, uncommitted changes included, with no agent. Nothing is
    changed either way.

    Exit code 0: nothing to do; 3: differences, or something waits; 1: it cannot be planned.
    """
    asked = planning.Asked(subject, path, application, since, socket)
    return planning.show(asked, output, text=False)
