"""`undrift apply`."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.cli import localizing

_PAUSE = 0.3


@click.command("apply")
@click.option(
    "--local", "local", is_flag=True, help="Onto a cluster or folder of your own; there is no other way."
)
@click.option("--watch", is_flag=True, help="Go on, and apply again whenever a file changes.")
@click.option("--delete", is_flag=True, help="Take away all that was applied.")
@click.option("--context", metavar="NAME", help="The context of the kubeconfig [default: its own].")
@click.option(
    "--root",
    default=".undrift/local",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=pathlib.Path),
    help="The folder that stands for a host, where the files are for hosts.",
)
@delivering.which
@delivering.inputs
@telling.output
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Render the local stage of a delivery from the work tree, and make it true on a cluster of your own.

    Only in contexts that `local.contexts` of the Delivery names. What is not rendered any more is deleted; nothing is
    written to Git, and no agent takes it for its own.
    """
    if not given["local"]:
        error = errors.UsageInvalid(
            "undrift apply needs --local",
            why="every other place is made true by an agent, from Git",
            hint="undrift publish writes it into the GitOps repository",
        )
        return delivering.fail(error, output)
    try:
        if given["watch"]:
            return asyncio.run(_watch(folder.expanduser().absolute(), output, given))
        return asyncio.run(_once(folder, output, given))
    except errors.UndriftError as error:
        return delivering.fail(error, output)


async def _once(folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    from undrift.cli import localizing

    order = localizing.Order(context=given["context"] or "", delete=given["delete"], root=given["root"])
    with telling.working("applying"):
        done = await localizing.apply(delivering.request(folder, given, revision=""), order)
    failure = done.told.failure
    if failure is not None:
        raise failure.error
    if output == "json":
        telling.data(described(done))
    else:
        telling.show(_lines(done))
    return exits.Exit.DONE


async def _watch(folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    """Until Ctrl-C. What is wrong is told, and the next change is waited for."""
    changed = asyncio.Event()
    ignored = given["root"].absolute()
    async with asyncio.TaskGroup() as group:
        group.create_task(_notice(_top(folder), ignored, changed))
        await asyncio.sleep(0)  # it watches from here on: what changes while we apply is not missed
        while True:
            changed.clear()
            await _tried(folder, output, given)
            await changed.wait()


async def _notice(folder: pathlib.Path, ignored: pathlib.Path, changed: asyncio.Event) -> None:
    """Tell of every change below a folder, but for what we write ourselves."""
    from undrift.sources import directory

    async for _ in directory.changes(folder, [ignored, folder / ".undrift"], _PAUSE):
        changed.set()


def _top(folder: pathlib.Path) -> pathlib.Path:
    """The checkout that a folder is in, or the folder itself."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


async def _tried(folder: pathlib.Path, output: str, given: dict[str, Any]) -> None:
    try:
        await _once(folder, output, given)
    except errors.UndriftError as error:
        delivering.fail(error, output)


def _lines(done: localizing.Applied) -> Iterator[str]:
    plan = done.told.plan
    changes = [change for wave in plan.waves for change in wave.changes] if plan is not None else []
    yield f"{done.stage} on {done.place}: {done.told.ending.value}, {done.told.health.status.value}"
    for change in changes:
        yield f"  {change.action.value} {change.id}"


def described(done: localizing.Applied) -> dict[str, Any]:
    """What was applied, as data."""
    plan = done.told.plan
    changes = [change for wave in plan.waves for change in wave.changes] if plan is not None else []
    return {
        "stage": done.stage,
        "place": done.place,
        "ending": done.told.ending.value,
        "health": done.told.health.status.value,
        "changes": [{"action": one.action.value, "resource": str(one.id)} for one in changes],
    }
