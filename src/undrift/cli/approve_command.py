"""`undrift approve`."""

from __future__ import annotations

import pathlib

import click

from undrift import client
from undrift.cli import telling


@click.command("approve")
@click.argument("application")
@click.argument("digest")
@telling.output
@telling.socket
def command(application: str, digest: str, output: str, socket: str | None) -> int:
    """Approve a plan by its DIGEST (eight digits are enough); it is applied if nothing moved."""
    found = client.Client(pathlib.Path(socket) if socket else None).approve(application, digest)
    if output == "json":
        telling.data(found)
    else:
        click.echo(f"{application}: approved {found['digest']} as {found['by']}")
    return telling.Exit.OK
