"""`undrift publish`."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.model import publication
    from undrift.publishing import running, withdrawing


@click.command("publish")
@delivering.which
@delivering.inputs
@click.option("--revision", default="HEAD", show_default=True, help="The commit that is published.")
@click.option(
    "--deadline",
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="How long to try while others push.",
)
@click.option("--dry-run", "dry", is_flag=True, help="Show what would be published; change nothing.")
@click.option("--overwrite", is_flag=True, help="Replace what was edited by hand, or was there before.")
@click.option(
    "--allow-deletions",
    "deletions",
    is_flag=True,
    help="Publish though more files of a stage would be deleted than deletionLimit lets.",
)
@click.option("--resume", is_flag=True, help="Go on with a stage that was rolled back.")
@click.option("--hotfix", metavar="REASON", help="Go past the gates; the reason is recorded.")
@click.option(
    "--accept-rewritten-history",
    "rewritten",
    is_flag=True,
    help="Publish though the last revision is not in this one's history.",
)
@click.option(
    "--withdraw",
    metavar="REASON",
    help="Remove the application from its stages, previews too; the reason is recorded.",
)
@click.option(
    "--detailed-exitcode",
    "detailed",
    is_flag=True,
    help="Exit with 2 where something was (or would be) published.",
)
@click.option(
    "--fail-superseded", is_flag=True, help="Exit with 9 where a newer revision is published already."
)
@delivering.form
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Render all stages of an application, check them, and write them into the GitOps repository.

    Stages that say so get a pull request instead of a commit. Everything is checked before anything is pushed, all
    refs move together or not at all, an older revision never replaces a newer one, and running it again does nothing
    twice. Only Git and the forge are needed: their credentials come from UNDRIFT_TOKEN, or the variables of CI.
    """
    try:
        if given["withdraw"]:
            return _withdraw(folder, output, given)
        return _publish(folder, output, given)
    except errors.UndriftError as error:
        return delivering.fail(error, output)


def _publish(folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    from undrift.publishing import deciding, preparing, running

    if not given["revision"]:
        raise errors.UsageInvalid(
            "--revision is empty", why="only commits are published", hint="leave it out, or name a commit"
        )
    how = running.How(
        options=deciding.Options(
            given["overwrite"],
            given["resume"],
            given["rewritten"],
            given["hotfix"] or "",
            given["deletions"],
        ),
        deadline=delivering.seconds("--deadline", given["deadline"]),
        dry=given["dry"],
    )

    async def run() -> running.Done:
        opened = await preparing.open_delivery(delivering.request(folder, given, revision=given["revision"]))
        if any(stage.watched for stage in opened.stages):
            from undrift.publishing import updating

            opened = await updating.carried(opened, how)
        prepared = await preparing.complete(opened)
        return await running.publish(prepared, how)

    with telling.working("publishing"):
        done = asyncio.run(run())
    tell(done, output, dry=given["dry"])
    return _code(done, given)


def _withdraw(folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    """Remove the folders of the stages that were named; of all and of every preview where none was."""
    from undrift.publishing import deciding, preparing, previewing, running, withdrawing

    how = running.How(
        options=deciding.Options(given["overwrite"]),
        deadline=delivering.seconds("--deadline", given["deadline"]),
        dry=given["dry"],
    )
    manner = withdrawing.Manner(
        reason=given["withdraw"], overwrite=given["overwrite"], dry=given["dry"], deadline=how.deadline
    )

    async def run() -> tuple[str, withdrawing.Withdrawn]:
        asked = delivering.request(folder, given, revision=given["revision"], lenient=True)
        opened = await preparing.open_delivery(asked)
        more = [] if given["stages"] else await previewing.stages(opened.declared, how)
        stages = (*opened.stages, *more)
        return opened.declared.application, await withdrawing.give_up(opened.declared, stages, manner, how)

    with telling.working("removing"):
        name, done = asyncio.run(run())
    _tell_withdrawn(name, done, output, dry=given["dry"])
    if done.trouble:
        return exits.Exit.FORGE
    removed = any(result.outcome.value == "published" for result in done.results)
    return exits.Exit.CHANGES if removed and given["detailed"] else exits.Exit.DONE


def _tell_withdrawn(name: str, done: withdrawing.Withdrawn, output: str, *, dry: bool) -> None:
    told = [
        {
            "stage": one.stage,
            "outcome": "removed" if one.outcome.value == "published" else one.outcome.value,
            "commit": one.commit,
            "pull_request": one.pull_request.url if one.pull_request is not None else "",
        }
        for one in done.results
    ]
    if output == "json":
        found = [telling.described(error) for error in done.trouble]
        telling.data({"application": name, "stages": told, "errors": found})
        return
    if output == "text":
        click.echo(name)
        for one in told:
            outcome = f"would be {one['outcome']}" if dry and one["outcome"] == "removed" else one["outcome"]
            where = one["pull_request"] or one["commit"][:8]
            click.echo(f"  {one['stage']:<16} {outcome:<10} {where}".rstrip())
    for error in done.trouble:
        telling.error(error)


def _code(done: running.Done, given: dict[str, Any]) -> exits.Exit:
    from undrift.model import publication

    outcomes = {result.outcome for result in done.results}
    if done.trouble:
        return trouble(done)
    late = [result for result in done.results if result.outcome is publication.Outcome.SUPERSEDED]
    if given["fail_superseded"] and late:
        opened = done.prepared.opened
        error = errors.Superseded(
            f"{opened.declared.application} {opened.revision.short} is not published to {late[0].stage}",
            why=late[0].reason,
            hint="nothing has to be done: the newer one is there",
        )
        telling.error(error)
        return exits.of(error)
    if given["detailed"] and publication.Outcome.PUBLISHED in outcomes:
        return exits.Exit.CHANGES
    return exits.Exit.DONE


def trouble(done: running.Done) -> exits.Exit:
    """Tell what kept pull requests from being up to date, and give its exit code: whatever it was, all is pushed."""
    for one in done.trouble:
        telling.error(one)
    return exits.Exit.FORGE if done.trouble else exits.Exit.DONE


def tell(done: running.Done, output: str, *, dry: bool = False) -> None:
    """Print what became of every stage; beside a form for machines to standard error."""
    if output == "json":
        telling.data(described(done))
        return
    delivering.tell(done.prepared.findings, output)
    opened, err = done.prepared.opened, output != "text"
    subject = telling.harmless(opened.revision.subject)
    click.echo(f"{opened.declared.application} {opened.revision.short} {subject}".rstrip(), err=err)
    for result in done.results:
        telling.show(_lines(result, done, dry=dry), err=err)


def _lines(result: publication.StageResult, done: running.Done, *, dry: bool) -> Iterator[str]:
    """A stage: what became of it, where, and what changed."""
    colour = {"published": "green", "waiting": "yellow", "held": "yellow"}.get(result.outcome.value)
    outcome = (
        f"would be {result.outcome}" if dry and result.outcome.value == "published" else str(result.outcome)
    )
    parts = [telling.style(f"{outcome:<10}", fg=colour), where(result), telling.harmless(result.reason)]
    yield f"  {result.stage:<16} {' '.join(part for part in parts if part)}".rstrip()
    contrast = done.contrasts.get(result.stage)
    if contrast is not None and dry:
        for one in contrast.differences:
            yield f"    {one.action.value} {telling.harmless(one.title)}"


def where(result: publication.StageResult) -> str:
    """Where what was published can be looked at; "" where nothing was."""
    if result.outcome.value != "published":
        return ""
    return result.pull_request.url if result.pull_request is not None else result.commit[:8]


def described(done: running.Done) -> dict[str, Any]:
    """What became of everything, as data."""
    opened = done.prepared.opened
    return {
        "application": opened.declared.application,
        "revision": opened.revision.sha,
        "stages": [
            {
                "stage": one.stage,
                "outcome": one.outcome.value,
                "way": one.way.value,
                "commit": one.commit,
                "tree": one.tree,
                "before": one.before.revision.sha if one.before is not None else "",
                "pull_request": one.pull_request.url if one.pull_request is not None else "",
                "reason": one.reason,
                "attempts": one.attempts,
            }
            for one in done.results
        ],
        "warnings": [telling.described(error) for error in done.prepared.findings.warnings],
        "errors": [telling.described(error) for error in done.trouble],
    }
