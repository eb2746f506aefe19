"""`undrift rollback`."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import getpass
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from undrift import client, errors
from undrift.cli import asking, committing, telling

_FAR = 200
_TRIED = 10
_GOOD = ("in sync", "applied")
_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,64}")


@click.command("rollback")
@asking.application()
@click.option(
    "--to",
    metavar="REVISION",
    help="The revision to go back to, as `undrift history` shows it [default: the last good one before].",
)
@click.option(
    "--stage", metavar="NAME", help="Take back a stage that `undrift publish` wrote; no agent is asked."
)
@click.option("--reason", metavar="TEXT", help="Why the stage goes back; it is recorded.")
@click.option(
    "-C",
    "folder",
    default=".",
    metavar="FOLDER",
    type=click.Path(path_type=pathlib.Path),
    help="With --stage: the checkout of the application.",
)
@click.option(
    "--config", metavar="FILE", help="With --stage: the file of the delivery [default: undrift.yaml]."
)
@committing.options
@telling.output
@asking.socket
def command(application: str, to: str | None, output: str, **given: Any) -> int:
    """Restore the files of an APPLICATION from an earlier revision: as a commit of yours.

    Only the application's own path is restored, not the whole commit, and only in Git: the agent applies it like
    any other commit. It is pushed with your Git credentials, and signed if you sign your commits.

    With --stage, APPLICATION is a delivery: the stage becomes what it was at an earlier revision, by a commit or a
    pull request as the stage says, and automation leaves it alone until `undrift publish --resume`.
    """
    if given["stage"]:
        return _take_back(application, to, output, given)
    agent = asking.agent(given["socket"])
    known = agent.application(application)
    base = committing.branch_of(known["revision"], f"the source of {application}")
    place = committing.place(given["repository"], given["branch"], str(known["source"]["url"]), base)
    with telling.working(f"restoring {known['source']['path']}"):
        found = _restore(place, known, _candidates(agent, known, to))
    if not place.branch:
        with contextlib.suppress(errors.UndriftError):
            agent.reconcile(application)
    if output == "json":
        telling.data(found)
    else:
        what = f"{found['path']} restored from {telling.short(found['restored'])}"
        click.echo(f"{application}: {what}: {committing.pushed(found, place)}")
    return telling.Exit.OK


def _take_back(application: str, to: str | None, output: str, given: dict[str, Any]) -> int:
    """A stage of a delivery."""
    from undrift.cli import delivering, publish_command
    from undrift.publishing import preparing, reverting, running

    asked = {"application": application, "config": given["config"]}
    by = (
        os.environ.get("UNDRIFT_AUTHOR")
        or os.environ.get("GITHUB_ACTOR")
        or os.environ.get("GITLAB_USER_LOGIN")
    )
    order = reverting.Order(
        stage=given["stage"], to=to or "", by=by or getpass.getuser(), reason=given["reason"] or ""
    )

    async def run() -> running.Done:
        opened = await preparing.open_delivery(delivering.request(given["folder"], asked, lenient=True))
        return await reverting.roll_back(opened, running.How(), order)

    try:
        done = asyncio.run(run())
    except errors.UndriftError as error:
        return delivering.fail(error, output)
    publish_command.tell(done, output)
    return publish_command.trouble(done)


def _restore(place: committing.Place, known: Mapping[str, Any], candidates: Sequence[str]) -> dict[str, Any]:
    """Restore the newest candidate that differs from what is in Git now."""
    from undrift.sources.git import writing

    writer = writing.Writer(place.repository, place.environment)
    name, path = str(known["name"]), str(known["source"]["path"])
    for number, revision in enumerate(candidates, start=1):
        message = (
            f"Roll {name} back to {telling.short(revision)}\n\nRestores {path} as it was at {revision}.\n"
        )
        order = writing.Order(place.base, message, place.branch or "")
        commit = revision.rpartition("@")[2].rpartition(":")[2]
        try:
            made = asyncio.run(writer.restore(order, path, commit))
        except errors.RollbackImpossible:
            if number == len(candidates):
                raise
            continue
        return {"application": name, "path": path, "restored": revision, **dataclasses.asdict(made)}
    raise errors.RollbackImpossible(
        f"no earlier good revision of {name} is known",
        why="the history has none but the present one",
        hint=f"see `undrift history {name}`, and name one with --to",
    )


def _candidates(agent: client.Client, known: Mapping[str, Any], to: str | None) -> list[str]:
    """Revisions to go back to, the best first."""
    history = agent.history(str(known["name"]), _FAR)
    if to is not None:
        return [_named(to, history, str(known["name"]))]
    newest = str(known["revision"]["name"])
    good = [
        str(one["applied_revision"]["name"])
        for one in history
        if one["ending"] in _GOOD and one["applied_revision"]
    ]
    return [name for name in dict.fromkeys(good) if name != newest][:_TRIED]


def _named(to: str, history: Sequence[Mapping[str, Any]], name: str) -> str:
    """The full name of a revision that was given in full or in part."""
    digits = to.rpartition("@")[2].rpartition(":")[2].lower()
    seen = [one[key]["name"] for one in history for key in ("applied_revision", "revision") if one[key]]
    matching = sorted({one for one in seen if one.rpartition(":")[2].startswith(digits)})
    if _SHORT.fullmatch(digits) and len(matching) == 1:
        return str(matching[0])
    if _FULL.fullmatch(digits):
        return digits
    why = (
        f"it may be {', '.join(map(telling.short, matching))}"
        if matching
        else "the history has none of that name"
    )
    raise errors.RollbackImpossible(
        f"{to} is no revision of {name}", why=why, hint=f"see `undrift history {name}`"
    )
