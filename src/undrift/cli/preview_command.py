"""`undrift preview`."""

from __future__ import annotations

import asyncio
import os
import pathlib
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.publishing import running

_ACTIONS = ("create", "delete", "clean")


@click.command("preview")
@click.argument("action", type=click.Choice(_ACTIONS))
@click.option(
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    help="The pull request [default: the one that CI builds].",
)
@click.option("--branch", metavar="NAME", help="Its branch, where names hold {slug} [default: as CI tells].")
@click.option("--overwrite", is_flag=True, help="Also what was edited by hand.")
@click.option(
    "--deadline",
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="How long to try while others push.",
)
@delivering.which
@delivering.inputs
@telling.output
def command(action: str, folder: pathlib.Path, output: str, **given: Any) -> int:
    """Make, bring up to date or remove the stage of a pull request of the application.

    ACTION is `create` (also to bring it up to date), `delete`, or `clean`: remove all whose pull request is over, or
    whose time is. What a preview looks like is said by `preview` in the Delivery.
    """
    try:
        return asyncio.run(_run(action, folder, output, given))
    except errors.UndriftError as error:
        return delivering.fail(error, output)


async def _run(action: str, folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    from undrift.publishing import deciding, preparing, previewing, running

    how = running.How(
        options=deciding.Options(overwrite=given["overwrite"]),
        deadline=delivering.seconds("--deadline", given["deadline"]),
    )
    asked = delivering.request(folder, given, lenient=action != "create")
    opened = await preparing.open_delivery(asked)
    if action == "clean":
        results = await previewing.clean(opened, how)
    elif action == "delete":
        results = await previewing.delete(opened, _about(given), how)
    else:
        return _tell(await previewing.create(opened, _about(given), how), output)
    told = previewing.described(results)
    if output == "json":
        telling.data(told)
    else:
        for one in told:
            click.echo(f"{one['stage']:<24} {one['outcome']} {one['commit'][:8]}".rstrip())
        if not told:
            click.echo("there is nothing to remove")
    return exits.Exit.DONE


def _about(given: dict[str, Any]) -> Any:
    """The pull request that is meant."""
    from undrift.publishing import previewing, systems

    number = given["number"] or systems.proposal(os.environ)[0]
    if not number:
        raise errors.UsageInvalid("nobody says which pull request is meant", hint="pass --number")
    branch = (
        given["branch"] or os.environ.get("GITHUB_HEAD_REF") or os.environ.get("CI_COMMIT_REF_NAME") or ""
    )
    return previewing.Subject(number, branch)


def _tell(done: running.Done, output: str) -> int:
    from undrift.cli import publish_command

    publish_command.tell(done, output)
    return publish_command.trouble(done)
