"""`undrift update`."""

from __future__ import annotations

import asyncio
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from undrift import errors
from undrift.cli import delivering, exits, telling

if TYPE_CHECKING:
    from undrift.model import publication
    from undrift.publishing import updating, watching
    from undrift.sources.oci import images

_PULL_TIMEOUT = 120.0


@click.command("update")
@delivering.which
@click.option("--dry-run", "dry", is_flag=True, help="Show what would be updated; change nothing.")
@click.option(
    "--every", metavar="DURATION", help="Go on, and look again after this time [default: look once]."
)
@click.option("--pull", is_flag=True, help="Bring the checkout up to date before each look.")
@click.option(
    "--deadline",
    default="2m",
    show_default=True,
    metavar="DURATION",
    help="How long to try while others push.",
)
@click.option(
    "--detailed-exitcode",
    "detailed",
    is_flag=True,
    help="Exit with 2 where something was (or would be) published.",
)
@telling.output
def command(folder: pathlib.Path, output: str, **given: Any) -> int:
    """Look into registries for new images, and publish them into the stages that watch them.

    What is watched is said by `updates` in the Delivery. A stage stays at the revision that it has, and gets a commit
    or a pull request like any other; what is there is never replaced by an older image. A registry that does not
    answer is told, and keeps no other image back. Run it on a timer, or let it look again by itself with --every.
    """
    try:
        every = delivering.seconds("--every", given["every"]) if given["every"] else 0.0
        return asyncio.run(_rounds(folder.expanduser().absolute(), output, given, every))
    except errors.UndriftError as error:
        return delivering.fail(error, output)


async def _rounds(folder: pathlib.Path, output: str, given: dict[str, Any], every: float) -> int:
    """One look, or one after another until somebody ends it: what goes wrong in one is told."""
    from undrift.sources.oci import images

    registries = images.Images(os.environ)
    try:
        if not every:
            return await _round(folder, output, given, registries)
        while True:
            try:
                await _round(folder, output, given, registries)
            except errors.UndriftError as error:
                delivering.fail(error, output)
            await asyncio.sleep(every)
    finally:
        await registries.close()


async def _round(folder: pathlib.Path, output: str, given: dict[str, Any], registries: images.Images) -> int:
    from undrift.publishing import preparing, running, updating

    if given["pull"]:
        await _pull(folder)
    registries.begin()
    how = running.How(deadline=delivering.seconds("--deadline", given["deadline"]), dry=given["dry"])
    opened = await preparing.open_delivery(delivering.request(folder, given, lenient=True))
    with telling.working("updating"):
        done = await updating.update(opened, how, registries)
    if output == "json":
        tell = telling.line if given["every"] else telling.data
        tell(described(done))
    else:
        telling.show(_lines(done, dry=given["dry"]))
        for error in done.trouble:
            telling.error(error)
    return _code(done, detailed=given["detailed"])


async def _pull(folder: pathlib.Path) -> None:
    """The newest commit of the checkout's branch. Raises `SourceUnavailable`."""
    from undrift.lib import process

    try:
        done = await process.run(
            ["git", "-C", str(folder), "pull", "--quiet", "--ff-only"],
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"},
            limits=process.Limits(timeout=_PULL_TIMEOUT),
        )
        problem = done.stderr.decode("utf-8", "replace").strip() if done.returncode else ""
    except process.ProcessError as error:
        problem = error.problem
    if problem:
        from undrift.lib import mask

        raise errors.SourceUnavailable(
            f"the checkout {folder} cannot be brought up to date",
            why=mask.without_credentials(problem),
            hint="see to it with git pull --ff-only, or leave out --pull",
        )


def _code(done: updating.Updated, *, detailed: bool) -> exits.Exit:
    if done.trouble:
        return exits.of(errors.gather(done.trouble))
    published = any(result.outcome.value == "published" for result in done.results)
    return exits.Exit.CHANGES if published and detailed else exits.Exit.DONE


def _lines(done: updating.Updated, *, dry: bool) -> Iterator[str]:
    """Every stage, and below it what became of its images."""
    yield done.application
    if not done.results:
        yield "  no stage watches an image; say which under updates in the Delivery"
    for result in done.results:
        yield _stage(result, dry=dry)
        for one in done.watched:
            if one.stage == result.stage:
                yield f"    {_image(one)}"


def _stage(result: publication.StageResult, *, dry: bool) -> str:
    colour = {"published": "green", "waiting": "yellow", "held": "yellow"}.get(result.outcome.value)
    outcome = (
        f"would be {result.outcome}" if dry and result.outcome.value == "published" else str(result.outcome)
    )
    where = result.pull_request.url if result.pull_request is not None else result.commit[:8]
    parts = (telling.style(f"{outcome:<10}", fg=colour), where, telling.harmless(result.reason))
    return f"  {result.stage:<16} {' '.join(part for part in parts if part)}".rstrip()


def _image(one: watching.Watched) -> str:
    before = ", ".join(text.removeprefix(one.image).lstrip(":") or "(no tag)" for text in one.before)
    if one.after:
        return f"{one.image} {before} → {one.after.removeprefix(one.image).lstrip(':')}"
    return f"{one.image} {before}" + (f": {one.reason}" if one.reason else "")


def described(done: updating.Updated) -> dict[str, Any]:
    """What became of everything, as data."""
    return {
        "application": done.application,
        "stages": [
            {
                "stage": one.stage,
                "outcome": one.outcome.value,
                "commit": one.commit,
                "pull_request": one.pull_request.url if one.pull_request is not None else "",
                "reason": one.reason,
                "images": [
                    {
                        "image": each.image,
                        "before": list(each.before),
                        "after": each.after,
                        "reason": each.reason,
                    }
                    for each in done.watched
                    if each.stage == one.stage
                ],
            }
            for one in done.results
        ],
        "errors": [telling.described(error) for error in done.trouble],
    }
