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
    from undrift.publishing import running


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
@click.option("--resume", is_flag=True, help="Go on with a stage that was rolled back.")
@click.option("--hotfix", metavar="REASON", help="Go past the gates; the reason is recorded.")
@click.option(
    "--accept-rewritten-history",
    "rewritten",
    is_flag=True,
    help="Publish though the last revision is not in this one's history.",
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
        return _publish(folder, output, given)
    except errors.UndriftError as error:
        return delivering.fail(error, output)


def _publish(folder: pathlib.Path, output: str, given: dict[str, Any]) -> int:
    from undrift.publishing import deciding, preparing, running

    how = running.How(
        options=deciding.Options(
            given["overwrite"], given["resume"], given["rewritten"], given["hotfix"] or ""
        ),
        deadline=delivering.seconds("--deadline", given["deadline"]),
        dry=given["dry"],
    )

    async def run() -> running.Done:
        prepared = await preparing.prepare(delivering.request(folder, given, revision=given["revision"]))
        return await running.publish(prepared, how)

    with telling.working("publishing"):
        done = asyncio.run(run())
    tell(done, output, dry=given["dry"])
    return _code(done, given)


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
    """Tell what kept pull requests from being up to date, and give its exit code."""
    for one in done.trouble:
        telling.error(one)
    return exits.of(errors.gather(done.trouble)) if done.trouble else exits.Exit.DONE


def tell(done: running.Done, output: str, *, dry: bool = False) -> None:
    """Print what became of every stage."""
    if output == "json":
        telling.data(described(done))
        return
    delivering.tell(done.prepared.findings, output)
    if output == "text":
        revision = done.prepared.opened.revision
        click.echo(
            f"{done.prepared.opened.declared.application} {revision.short} {revision.subject}".rstrip()
        )
        for result in done.results:
            telling.show(_lines(result, done, dry=dry))


def _lines(result: publication.StageResult, done: running.Done, *, dry: bool) -> Iterator[str]:
    """A stage: what became of it, where, and what changed."""
    colour = {"published": "green", "waiting": "yellow", "held": "yellow"}.get(result.outcome.value)
    outcome = (
        f"would be {result.outcome}" if dry and result.outcome.value == "published" else str(result.outcome)
    )
    parts = [telling.style(f"{outcome:<10}", fg=colour), where(result), result.reason]
    yield f"  {result.stage:<16} {' '.join(part for part in parts if part)}".rstrip()
    contrast = done.contrasts.get(result.stage)
    if contrast is not None and dry:
        for one in contrast.differences:
            yield f"    {one.action.value} {one.title}"


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
