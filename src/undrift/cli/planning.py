"""What `plan` and `diff` share: asking the agent, or planning from a checkout."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import click

from undrift import client, errors
from undrift.cli import showing, telling


def show(subject: str, options: dict[str, Any], output: str, *, text: bool) -> int:
    """Print the plans that `subject` (an application, or the path of a checkout) amounts to."""
    found = _plans(subject, options)
    if output == "json":
        telling.data(found if len(found) != 1 else found[0])
    else:
        for index, one in enumerate(found):
            if index:
                click.echo("")
            if one.get("failure"):
                for line in telling.lines(one["failure"]):
                    click.echo(line)
            if "waves" in one:
                for line in showing.plan(one, text=text):
                    click.echo(line)
    if any(one.get("failure") for one in found):
        return telling.Exit.ERROR
    changed = any(one["waves"] or one["stops"] or one["withheld"] for one in found)
    return telling.Exit.DIFFERENT if changed else telling.Exit.OK


def _plans(subject: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    if not _is_path(subject):
        path = options["socket"]
        telling.progress(f"planning {subject} …")
        return [client.Client(pathlib.Path(path) if path else None).plan(subject)]
    return asyncio.run(_offline(pathlib.Path(subject).absolute(), options))


def _is_path(subject: str) -> bool:
    return "/" in subject or subject in {".", ".."} or pathlib.Path(subject).is_dir()


async def _offline(root: pathlib.Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    from undrift.agent import shapes
    from undrift.cli import offline

    checkout = offline.Checkout(root, options["path"], None)
    found = await checkout.read()
    if found.errors and not found.applications:
        raise errors.gather(list(found.errors))
    plans: list[dict[str, Any]] = []
    async for told in checkout.plans(found, options["application"]):
        planned = shapes.planned(told.plan, told.verdict) if told.plan else {"application": told.application}
        plans.append(planned | {"failure": shapes.failure(told.failure)})
    if found.errors:
        plans.append(
            {
                "application": "",
                "failure": shapes.error(errors.gather(list(found.errors))) | {"phase": "load"},
            }
        )
    return plans
