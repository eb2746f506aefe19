"""`undrift validate`."""

from __future__ import annotations

import asyncio
import pathlib
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, telling

if TYPE_CHECKING:
    from undrift.model import publication


@click.command("validate")
@click.argument("path", default=".", type=click.Path(path_type=pathlib.Path))
@click.option(
    "--path",
    "folder",
    metavar="FOLDER",
    help="The folder of the configuration in the checkout [default: where it is found].",
)
@click.option(
    "--config", metavar="FILE", help="The file of the delivery [default: undrift.yaml, at PATH or above]."
)
@click.option("--application", metavar="NAME", help="Which, where the file declares several deliveries.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="NAME",
    help="Only this stage of the delivery; may be given again.",
)
@delivering.inputs
@delivering.form
def command(path: pathlib.Path, folder: str | None, output: str, **given: Any) -> int:
    """Check all documents of the checkout at PATH, and tell everything that is wrong with them at once.

    Where an `undrift.yaml` declares a Delivery, its stages are rendered and checked as `undrift publish` would. No
    target is asked: what an agent's applications come to is checked by `undrift plan`.

    Exit code 0: nothing is wrong; 1: something is wrong with an agent's configuration. A delivery has the exit codes
    of `undrift publish`.
    """
    place = path.expanduser().absolute()
    found = _delivery(place, output, given)
    if isinstance(found, int):
        return found
    if found is not None and not folder:
        return telling.Exit.OK
    return _configuration(place, folder, output)


def _delivery(place: pathlib.Path, output: str, given: dict[str, Any]) -> int | publication.Findings | None:
    """What the checks of a delivery found; its exit code where something is wrong, None where there is no delivery."""
    from undrift.publishing import preparing

    try:
        prepared = asyncio.run(preparing.prepare(delivering.request(place, given, revision="")))
    except errors.DeliveryMissing as error:
        if given["config"] or given["application"] or given["stages"]:
            return delivering.fail(error, output)
        return None
    except errors.UndriftError as error:
        return delivering.fail(error, output)
    delivering.tell(prepared.findings, output)
    if prepared.findings.failed:
        from undrift.cli import exits

        return exits.of(errors.gather(prepared.findings.failed))
    if output == "text":
        stages = ", ".join(one.stage.name for one in prepared.renditions)
        checks = len(prepared.findings.checks)
        click.echo(f"{prepared.opened.declared.application}: nothing is wrong ({checks} checks of {stages})")
    return prepared.findings


def _configuration(path: pathlib.Path, folder: str | None, output: str) -> int:
    """The documents of agents."""
    from undrift.cli import checkouts

    checkout = checkouts.find(path, folder)
    found = asyncio.run(checkout.read())
    if found.errors:
        error = errors.gather(list(found.errors))
        if output in {"text", "json"}:
            raise error
        delivering.fail(error, output)
        return telling.Exit.ERROR
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
    elif output == "text":
        told = ", ".join(
            f"{count} {name if count != 1 else name[:-1]}" for name, count in counts.items() if count
        )
        click.echo(f"{checkout.path}: nothing is wrong ({told or 'nothing is declared'})")
    return telling.Exit.OK
