"""`undrift suspend`."""

from __future__ import annotations

import click

from undrift.cli import arguments, asking, committing, telling


@click.command("suspend")
@asking.application()
@click.option(
    "--for",
    "seconds",
    type=arguments.DURATION,
    help="Hold it for so long, without a commit: `30m`, `2h`. It ends by itself.",
)
@click.option("--reason", default="", help="Why: it is shown with the hold, or stands in the commit.")
@committing.options
@telling.output
@asking.socket
def command(application: str, seconds: float | None, reason: str, output: str, **given: str | None) -> int:
    """Stop changing an APPLICATION: looked at it is still.

    With --for a hold of the agent, which ends by itself. Without it a commit of yours that sets `suspend: true`
    in the application's document and changes no other byte, pushed with your Git credentials.
    """
    if seconds is not None:
        found = asking.agent(given["socket"]).hold(application, seconds, reason)
        told = f"held until {telling.clock(found['until'])} by {found['by']}"
    else:
        place, file = committing.configuration(
            application, given["socket"], given["repository"], given["branch"]
        )
        found = committing.suspend(place, application, file, on=True, reason=reason)
        told = f"suspended in {file}: {committing.pushed(found, place)}"
    if output == "json":
        telling.data(found)
    else:
        click.echo(f"{application}: {told}")
    return telling.Exit.OK
