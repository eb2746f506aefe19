"""`undrift reconcile`."""

from __future__ import annotations

import click

from undrift.cli import arguments, asking, telling
from undrift.cli.showing import status


@click.command("reconcile")
@asking.application()
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is done.")
@click.option(
    "--timeout", type=arguments.DURATION, default="5m", show_default=True, help="How long to wait at most."
)
@telling.output
@asking.socket
def command(application: str, timeout: float, output: str, socket: str | None, *, wait: bool) -> int:
    """Fetch, look and apply now; a revision that was held back is tried once more.

    Exit code 0: in sync (or asked for, with --no-wait); 3: it waits, drifts or fails.
    """
    with telling.working(f"reconciling {application}"):
        found = asking.agent(socket).reconcile(application, wait=timeout if wait else 0.0)
    if output == "json":
        telling.data(found)
    elif not wait:
        click.echo(f"{application}: asked for")
    else:
        telling.show(_told(found))
    return telling.Exit.OK if found["state"] == "in sync" or not wait else telling.Exit.DIFFERENT


def _told(found: dict[str, object]) -> list[str]:
    sign = status.STATES[str(found["state"])][0]
    reason = status.why(found)
    head = status.state(str(found["state"]), f"{sign} {found['state']}")
    return [f"{found['name']}: {head}", *([f"  {reason}"] if reason else [])]
