"""`undrift reconcile`."""

from __future__ import annotations

import pathlib

import click

from undrift import client
from undrift.cli import showing, telling


@click.command("reconcile")
@click.argument("application")
@click.option("--wait/--no-wait", default=True, help="Wait until it is done.")
@click.option("--timeout", type=float, default=300.0, help="Seconds to wait at most.")
@telling.output
@telling.socket
def command(application: str, timeout: float, output: str, socket: str | None, *, wait: bool) -> int:
    """Fetch, look and apply now; a revision that was held back is tried once more.

    Exit code 0: in sync; 3: it waits, drifts or fails.
    """
    telling.progress(f"reconciling {application} …")
    found = client.Client(pathlib.Path(socket) if socket else None).reconcile(
        application, wait=timeout if wait else 0.0
    )
    if output == "json":
        telling.data(found)
    else:
        reason = showing.why(found)
        click.echo(f"{application}: {found['state']}" + (f"  {reason}" if reason else ""))
    return telling.Exit.OK if found["state"] == "in sync" or not wait else telling.Exit.DIFFERENT
