"""`undrift promote`."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, publish_command, telling

if TYPE_CHECKING:
    from undrift.model import publication
    from undrift.publishing import moving


@click.command("promote")
@delivering.which
@click.option("--to", multiple=True, metavar="STAGE", help="Only into this stage; may be given again.")
@click.option(
    "--hotfix",
    metavar="REASON",
    help="Go past other stages with this checkout's commit; the reason is recorded.",
)
@click.option(
    "--allow-deletions",
    "deletions",
    is_flag=True,
    help="Publish though more files of a stage would be deleted than deletionLimit lets.",
)
@click.option("--resume", is_flag=True, help="Go on with a stage that was rolled back.")
@click.option("--freeze", metavar="REASON", help="Promote nothing; tell what is waiting.")
@click.option(
    "--wait", default="0s", show_default=True, metavar="DURATION", help="How long to wait until gates open."
)
@click.option(
    "--train", is_flag=True, help="All deliveries of the file that name one train together, or none."
)
@click.option(
    "--deadline",
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="How long to try while others push.",
)
@click.option(
    "--tell",
    is_flag=True,
    help="Say on the application's own commits what became of each stage, as agents report it.",
)
@click.option(
    "--detailed-exitcode", "detailed", is_flag=True, help="Exit with 2 where something was promoted."
)
@telling.output
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Move revisions to the next stages, each through its gate.

    A gate asks for the health of earlier stages as agents reported it, for approvals, windows, or a program of yours.
    What keeps a gate shut is told. Nothing but Git and the forge is asked; run it on a timer, or after a merge.
    """
    try:
        moved = asyncio.run(_promote(folder, given))
    except errors.UndriftError as error:
        return delivering.fail(error, output)
    if output == "json":
        telling.data([described(one) for one in moved])
    else:
        for one in moved:
            click.echo(one.application)
            for result in one.results:
                telling.show(_lines(result))
    trouble = [error for one in moved for done in one.done for error in done.trouble]
    for found in trouble:
        telling.error(found)
    if trouble:
        return exits.of(errors.gather(trouble))
    changed = any(result.outcome.value == "published" for one in moved for result in one.results)
    return exits.Exit.CHANGES if changed and given["detailed"] else exits.Exit.DONE


async def _promote(folder: pathlib.Path, given: dict[str, Any]) -> tuple[moving.Moved, ...]:
    from undrift.publishing import deciding, moving, preparing, running

    asked = delivering.request(folder, given, lenient=not given["hotfix"])
    opened = await preparing.open_train(asked) if given["train"] else [await preparing.open_delivery(asked)]
    order = moving.Order(
        to=tuple(given["to"]) or asked.stages,
        hotfix=given["hotfix"] or "",
        frozen=given["freeze"] or "",
        wait=delivering.seconds("--wait", given["wait"]),
    )
    how = running.How(
        options=deciding.Options(resume=given["resume"], deletions=given["deletions"]),
        deadline=delivering.seconds("--deadline", given["deadline"]),
    )
    moved = await moving.promote(opened, how, order)
    if given["tell"]:
        for one in opened:
            await moving.tell(one, how)
    return moved


def _lines(result: publication.StageResult) -> Iterator[str]:
    colour = {"published": "green", "waiting": "yellow", "held": "yellow"}.get(result.outcome.value)
    outcome = telling.style(f"{result.outcome:<10}", fg=colour)
    where = publish_command.where(result)
    first, *more = telling.harmless(result.reason).split("; ")
    yield f"  {result.stage:<16} {' '.join(part for part in (outcome, where, first) if part)}".rstrip()
    yield from (f"  {'':<16} {'':<10} {reason}" for reason in more)


def described(moved: moving.Moved) -> dict[str, Any]:
    """What became of every stage, as data."""
    return {
        "application": moved.application,
        "stages": [
            {
                "stage": result.stage,
                "outcome": result.outcome.value,
                "revision": choice.revision.sha if choice.revision is not None else "",
                "commit": result.commit,
                "pull_request": result.pull_request.url if result.pull_request is not None else "",
                "reasons": list(choice.verdict.reasons),
                "next_at": choice.verdict.next_at,
            }
            for choice, result in zip(moved.choices, moved.results, strict=True)
        ],
    }
