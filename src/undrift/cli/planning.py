"""What `plan` and `diff` share: asking the agent, or planning from a checkout."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

from undrift import client, errors
from undrift.cli import asking, telling
from undrift.cli.showing import plan
from undrift.lib import orders

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What is to be planned: an application, all of them, or a checkout."""

    subject: str | None
    path: str | None
    application: str | None
    since: str | None
    socket: str | None

    @property
    def folder(self) -> pathlib.Path | None:
        """The checkout; None when the agent is meant."""
        if self.subject is None or not ("/" in self.subject or self.subject in {".", ".."}):
            return None
        return pathlib.Path(self.subject).expanduser().absolute()


def subject(command: _F) -> _F:
    """Adds APPLICATION or PATH, and the options that belong to a PATH."""
    command = click.option(
        "--since",
        metavar="COMMIT",
        help="With a PATH: plan only what differs from this commit, uncommitted changes included.",
    )(command)
    command = click.option("--application", metavar="NAME", help="With a PATH: plan only this one.")(command)
    command = click.option(
        "--path",
        metavar="FOLDER",
        help="With a PATH: the folder of the configuration in the checkout [default: where it is found].",
    )(command)
    return click.argument(
        "subject", metavar="[APPLICATION | PATH]", required=False, shell_complete=asking.complete
    )(command)


def show(asked: Asked, output: str, *, text: bool) -> int:
    """Print the plans of what was asked for; the exit code says whether there is something to do."""
    found = ordered(_from_checkout(asked, asked.folder) if asked.folder else _from_agent(asked))
    if output == "json":
        single = asked.subject is not None and asked.folder is None
        telling.data(found[0] if single else found)
    else:
        telling.show(_lines(found, text=text))
    if any(one["failure"] for one in found):
        return telling.Exit.ERROR
    changed = any(one["waves"] or one["stops"] or one["withheld"] for one in found)
    return telling.Exit.DIFFERENT if changed else telling.Exit.OK


def _lines(found: list[dict[str, Any]], *, text: bool) -> Iterator[str]:
    for index, one in enumerate(found):
        if index:
            yield ""
        if one["failure"]:
            yield from telling.lines(one["failure"])
        if "waves" in one:
            yield from plan.plan(one, text=text, placed=len(found) > 1)


def ordered(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plans in the order in which they come to pass: after those that one depends on, and what leaves before them."""
    known = {one["application"]: one for one in found}
    needs = {name: one.get("depends_on", ()) for name, one in known.items()}
    leaving = {name for name, one in known.items() if one.get("leaving")}
    return [known[name] for name in orders.through(needs, leaving)]


def _from_agent(asked: Asked) -> list[dict[str, Any]]:
    if asked.path or asked.application or asked.since:
        raise errors.UsageInvalid(
            "--path, --application and --since belong to a checkout", hint="name it with a slash: ./checkout"
        )
    agent = asking.agent(asked.socket)
    names = [asked.subject] if asked.subject else [str(one["name"]) for one in agent.status()]
    return [_planned(agent, name, single=asked.subject is not None) for name in names]


def _planned(agent: client.Client, name: str, *, single: bool) -> dict[str, Any]:
    """The plan of an application. That of one among many may fail without hiding the others."""
    try:
        with telling.working(f"planning {name}"):
            return agent.plan(name)
    except errors.AgentUnavailable:
        raise
    except errors.ApplicationUnknown as error:
        if pathlib.Path(name).is_dir():
            error.hint = f"for the folder of that name say ./{name}"
        raise
    except errors.UndriftError as error:
        if single:
            raise
        return {"application": name, "failure": telling.described(error)}


def _from_checkout(asked: Asked, folder: pathlib.Path) -> list[dict[str, Any]]:
    from undrift.cli import offline

    with telling.working(f"planning {folder}"):
        found = asyncio.run(offline.plans(folder, asked.path, asked.application, asked.since or ""))
    return [_without_digest(one) for one in found]


def _without_digest(one: Mapping[str, Any]) -> dict[str, Any]:
    """A checkout's plan cannot be approved: its digest would name something that no agent has."""
    found = {**one, "digest": ""} if "digest" in one else dict(one)
    hint = f"once it is pushed, `undrift plan {one['application']}` names the digest to approve"
    found["stops"] = [
        {**stop, "hint": hint} if "undrift approve" in stop["hint"] else stop for stop in one.get("stops", ())
    ]
    return found
