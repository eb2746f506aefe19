"""`undrift validate`."""

from __future__ import annotations

import asyncio
import pathlib

import click

from undrift import errors
from undrift.cli import telling


@click.command("validate")
@click.argument("path", default=".", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--path",
    "folder",
    metavar="FOLDER",
    help="The folder of the configuration in the checkout [default: where it is found].",
)
@telling.output
def command(path: pathlib.Path, folder: str | None, output: str) -> int:
    """Check all documents of the checkout at PATH, and tell everything that is wrong with them at once.

    No target is asked and nothing is rendered: what an application's files come to is checked by `undrift plan`.

    Exit code 0: nothing is wrong; 1: something is.
    """
    from undrift.cli import checkouts

    checkout = checkouts.find(path.expanduser().absolute(), folder)
    found = asyncio.run(checkout.read())
    if found.errors:
        raise errors.gather(list(found.errors))
    counts = {
        "agents": len(found.agents),
        "applications": len(found.applications),
        "targets": len(found.targets),
        "sources": len(found.sources),
        "projects": len(found.projects),
        "notifiers": len(found.notifiers),
    }
    if output == "json":
        telling.data({"path": checkout.path, **counts})
    else:
        told = ", ".join(
            f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items() if count
        )
        click.echo(f"{checkout.path}: nothing is wrong ({told or 'nothing is declared'})")
    return telling.Exit.OK
