"""`undrift resume`."""

from __future__ import annotations

import click

from undrift import errors
from undrift.cli import asking, committing, telling


@click.command("resume")
@asking.application()
@committing.options
@telling.output
@asking.socket
def command(application: str, output: str, **given: str | None) -> int:
    """Let an APPLICATION go on: end its hold, or let it change its target after the database was lost.

    If Git says `suspend: true`, that is taken out by a commit of yours, pushed with your Git credentials.
    """
    agent = asking.agent(given["socket"])
    suspended = bool(agent.application(application)["suspended"])
    try:
        found = agent.resume(application)
    except errors.Suspended:
        if not suspended:
            raise
        found = {"application": application}
    told = "it goes on"
    if suspended:
        place, file = committing.configuration(
            application, given["socket"], given["repository"], given["branch"]
        )
        found = committing.suspend(place, application, file, on=False)
        told = f"no longer suspended in {file}: {committing.pushed(found, place)}"
    if output == "json":
        telling.data(found)
    else:
        click.echo(f"{application}: {told}")
    return telling.Exit.OK
