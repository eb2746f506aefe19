"""`undrift render`."""

from __future__ import annotations

import asyncio
import pathlib
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.model import publication
    from undrift.publishing import preparing


@click.command("render")
@delivering.which
@delivering.inputs
@click.option(
    "--into",
    metavar="FOLDER",
    type=click.Path(path_type=pathlib.Path),
    help="Write the files here, a folder for each stage, instead of printing them.",
)
@click.option("--revision", default="", help="The commit that is rendered [default: the work tree as it is].")
@click.option("--twice", is_flag=True, help="Render twice, and fail where the results differ.")
@telling.output
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Render the stages of an application, as they would be published; nothing is checked against policies.

    What is not Git is not asked. Secrets that are encrypted stay so.
    """
    try:
        prepared = asyncio.run(_render(folder, given))
    except errors.UndriftError as error:
        return delivering.fail(error, output)
    if given["into"] is not None:
        written = _write(given["into"], prepared.renditions)
        if output == "text":
            click.echo(f"{written} files written into {given['into']}")
    if output == "json":
        telling.data(described(prepared))
    elif given["into"] is None:
        _print(prepared.renditions)
    return exits.Exit.DONE


async def _render(folder: pathlib.Path, given: dict[str, Any]) -> preparing.Prepared:
    from undrift import plugins
    from undrift.publishing import preparing, rendering

    request = delivering.request(folder, given, revision=given["revision"])
    prepared = await preparing.prepare(request, check=False)
    if given["twice"]:
        opened = prepared.opened
        await rendering.check_repeatable(
            opened.declared, opened.stages, opened.place, opened.named, plugins.Registry(None)
        )
    return prepared


def described(prepared: preparing.Prepared) -> dict[str, Any]:
    """The files of every stage, as data; what is no text is left out."""
    return {
        "application": prepared.opened.declared.application,
        "stages": [
            {
                "stage": one.stage.name,
                "folder": one.stage.folder,
                "tools": dict(one.tools),
                "files": {name: file.content.decode("utf-8", "replace") for name, file in one.files.items()},
            }
            for one in prepared.renditions
        ],
    }


def _print(renditions: tuple[publication.Rendition, ...]) -> None:
    for rendition in renditions:
        for name, file in rendition.files.items():
            click.echo(f"---\n# {rendition.stage.folder}/{name}")
            click.echo(file.content.decode("utf-8", "replace").removeprefix("---\n").rstrip("\n"))


def _write(into: pathlib.Path, renditions: tuple[publication.Rendition, ...]) -> int:
    """Write all files below a folder, which must not hold others of a stage. Raises `UsageInvalid`."""
    from undrift.model import source

    written = 0
    for rendition in renditions:
        place = into / rendition.stage.folder
        if place.exists() and any(place.iterdir()):
            raise errors.UsageInvalid(f"{place} is not empty", hint="name a new folder with --into")
        for name, file in rendition.files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if file.kind is source.FileKind.LINK:
                path.symlink_to(file.content.decode())
            else:
                path.write_bytes(file.content)
            written += 1
    return written
