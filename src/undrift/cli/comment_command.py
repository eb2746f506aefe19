"""`undrift comment`."""

from __future__ import annotations

import asyncio
import os
import pathlib
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.publishing import commenting
    from undrift.sources.git import checkout


@click.command("comment")
@delivering.which
@delivering.inputs
@click.option(
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    help="The pull request [default: the one that CI builds].",
)
@click.option(
    "--base",
    metavar="REVISION",
    help="What it is compared with [default: where its branch left the one it is for].",
)
@click.option(
    "--path",
    "place",
    metavar="FOLDER",
    help="In a GitOps repository: the folder of the configuration [default: where it is found].",
)
@click.option("--print", "shown", is_flag=True, help="Print the comment; ask no forge.")
@telling.output
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Say on a pull request what it would change, in one comment that is edited in place.

    In an application's repository, every stage is rendered before and after, and checked. In a GitOps repository,
    every application that it declares is. No target is asked.

    It ends with an error where something would keep `undrift publish` from publishing.
    """
    try:
        found = asyncio.run(_comment(folder.expanduser().absolute(), given))
    except errors.UndriftError as error:
        return delivering.fail(error, output)
    from undrift.model import forge
    from undrift.publishing import commenting

    if output == "json":
        telling.data(described(found))
    elif given["shown"]:
        click.echo(commenting.text(found, forge.Limits()))
    wrong = commenting.failed(found)
    if wrong and output == "text":
        telling.error(errors.gather(wrong))
    return exits.of(errors.gather(wrong)) if wrong else exits.Exit.DONE


async def _comment(folder: pathlib.Path, given: dict[str, Any]) -> commenting.Commented:
    from undrift.publishing import commenting, systems
    from undrift.sources.git import checkout

    number, branch = systems.proposal(os.environ)
    number = given["number"] or number
    if not number and not given["shown"]:
        raise errors.UsageInvalid(
            "nobody says which pull request is meant", hint="pass --number, or print the comment with --print"
        )
    history = await checkout.Checkout.find(folder)
    base = given["base"] or await history.fork(branch)
    found = await _found(folder, history, base, given)
    if given["shown"]:
        return found
    return await commenting.write(found, await history.address(), number, os.environ)


async def _found(
    folder: pathlib.Path, history: checkout.Checkout, base: str, given: dict[str, Any]
) -> commenting.Commented:
    """The stages of a delivery; where there is none, the applications of a GitOps repository."""
    from undrift.publishing import commenting

    try:
        return await commenting.of_delivery(delivering.request(folder, given), base)
    except errors.DeliveryMissing:
        if given["config"] or given["application"] or given["stages"]:
            raise
    from undrift.cli import checkouts

    path = given["place"] or checkouts.find(history.root, None).path
    return await commenting.of_configuration(history, "HEAD", base, path)


def described(found: commenting.Commented) -> dict[str, Any]:
    """What would change, as data."""
    return {
        "name": found.name,
        "comment": found.comment.key if found.comment is not None else "",
        "stages": [
            {
                "stage": view.stage,
                "changes": [
                    {"action": one.action.value, "resource": one.title, "risk": one.risk.name.lower()}
                    for one in view.contrast.differences
                ],
                "errors": [
                    telling.described(part)
                    for part in (view.error.parts if view.error is not None else view.findings.failed)
                ],
                "warnings": [telling.described(one) for one in view.findings.warnings],
            }
            for view in found.views
        ],
    }
