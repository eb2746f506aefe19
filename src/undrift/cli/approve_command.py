"""`undrift approve`."""

from __future__ import annotations

import click

from undrift.cli import asking, telling


@click.command("approve")
@asking.application()
@click.argument("digest")
@telling.output
@asking.socket
def command(application: str, digest: str, output: str, socket: str | None) -> int:
    """Approve a plan by its DIGEST, as `undrift plan` shows it; its first eight digits are enough.

    What is applied then is exactly that plan. If anything moved since, nothing is applied (UD803).
    """
    with telling.working(f"looking at {application}"):
        found = asking.agent(socket).approve(application, digest)
    if output == "json":
        telling.data(found)
    else:
        click.echo(f"{application}: {found['digest']} approved by {found['by']}; it is applied now")
    return telling.Exit.OK
