"""What `suspend`, `resume` and `rollback` share: a commit in Git, made as the person who gives the order."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from undrift import errors
from undrift.cli import asking, telling

_F = TypeVar("_F", bound=Callable[..., Any])
_TIMEOUT = 30.0
_MARK = ("spec", "suspend")


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where to commit: a repository as Git understands it, the branch to build on, and the one to push to."""

    repository: str
    base: str
    branch: str | None
    environment: Mapping[str, str]


def options(command: _F) -> _F:
    """Adds `--repository` and `--branch`."""
    command = click.option(
        "--branch",
        metavar="NAME",
        help="Push to this new branch instead, for a pull request.",
    )(command)
    return click.option(
        "--repository",
        metavar="URL|PATH",
        help="Where you push to: a URL, or a checkout whose origin it is [default: as the agent has it].",
    )(command)


def place(repository: str | None, branch: str | None, known: str, base: str) -> Place:
    """Where to commit. `known` is the repository as the agent has it, `base` the branch that it follows."""
    environment = dict(os.environ)
    if repository is None:
        return Place(known, base, branch, environment)
    folder = pathlib.Path(repository).expanduser()
    if not (folder / ".git").exists():
        return Place(str(folder.absolute()) if folder.is_dir() else repository, base, branch, environment)
    for variable, setting in (("NAME", "user.name"), ("EMAIL", "user.email")):
        value = _git(folder, "config", "--get", setting)
        if value:
            environment.setdefault(f"GIT_AUTHOR_{variable}", value)
            environment.setdefault(f"GIT_COMMITTER_{variable}", value)
    origin = _git(folder, "remote", "get-url", "--push", "origin")
    if not origin:
        raise errors.UsageInvalid(
            f"the checkout {repository} has no origin", hint="give --repository the URL to push to"
        )
    return Place(origin, base, branch, environment)


def _git(folder: pathlib.Path, *arguments: str) -> str:
    """What git says, "" where it says no."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.UsageInvalid(
            "git cannot be run", why=str(error), hint="install Git, then try again"
        ) from error
    return done.stdout.strip() if done.returncode == 0 else ""


def suspend(place: Place, name: str, file: str, *, on: bool, reason: str = "") -> dict[str, Any]:
    """Commit and push `spec.suspend` of an application; byte-minimal. Returns what was made, as JSON data."""
    from undrift.sources.git import writing

    verb = "Suspend" if on else "Resume"
    message = f"{verb} {name}\n" + (f"\n{reason}\n" if reason else "")
    order = writing.Order(place.base, message, place.branch or "")
    writer = writing.Writer(place.repository, place.environment)
    with telling.working(f"committing to {place.repository}"):
        made = asyncio.run(writer.replace(order, file, _edit(name, file, on=on)))
    return {"application": name, "suspended": on, "file": file, **dataclasses.asdict(made)}


def _edit(name: str, file: str, *, on: bool) -> Callable[[bytes | None], bytes]:
    def edit(content: bytes | None) -> bytes:
        return _marked(content, name, file, on=on)

    return edit


def _marked(content: bytes | None, name: str, file: str, *, on: bool) -> bytes:
    from undrift.lib import splicing, yaml

    origin = errors.Origin(file)
    hint = "set `suspend` in its spec by hand, and commit"
    if content is None:
        raise errors.OrderError(
            f"{file} is not there any more", why=f"it declared {name}", hint="see `undrift status`"
        )
    try:
        if on:
            return splicing.put(content, lambda one: _is(one, name), _MARK, "true")
        return splicing.drop(content, lambda one: _is(one, name), _MARK)
    except splicing.SpliceError as error:
        raise errors.OrderError(
            f"the document of {name} cannot be edited", origin=origin, why=str(error), hint=hint
        ) from error
    except yaml.YamlError as error:
        raise errors.ConfigUnreadable(
            f"{file} cannot be read",
            origin=errors.Origin(file, error.line, error.column),
            why=error.problem,
            hint="correct it first",
        ) from error


def _is(document: Mapping[str, Any], name: str) -> bool:
    metadata = document.get("metadata")
    return (
        document.get("kind") == "Application"
        and isinstance(metadata, Mapping)
        and metadata.get("name") == name
    )


def declared_in(application: Mapping[str, Any]) -> str:
    """The file that declares an application, from the root of the repository.

    Raises `OrderError` for one that left Git.
    """
    file = str(application["origin"])
    while file.rpartition(":")[2].isdigit():
        file = file.rpartition(":")[0]
    if not file or application["decommissioned"]:
        raise errors.OrderError(
            f"{application['name']} is not in Git any more", hint="hold it with --for instead"
        )
    return file


def branch_of(revision: Mapping[str, Any] | None, what: str) -> str:
    """The branch that a revision was found on. Raises `OrderError` while none was."""
    name = str(revision["name"]).rpartition("@")[0] if revision else ""
    if not name:
        raise errors.OrderError(
            f"{what} was not read from a branch yet", hint="see `undrift doctor`, or wait a moment"
        )
    return name


def configuration(
    application: str, socket: str | None, repository: str | None, branch: str | None
) -> tuple[Place, str]:
    """Where the document of an application is committed to, and its file, as the agent knows them."""
    agent = asking.agent(socket)
    file = declared_in(agent.application(application))
    about = agent.agent()
    base = branch_of(about["revision"], "the configuration")
    return place(repository, branch, str(about["repository"]), base), file


def pushed(made: Mapping[str, Any], place: Place) -> str:
    """What became of a commit, in words."""
    commit = str(made["commit"])[:8]
    if place.branch and place.branch != place.base:
        return f"{commit} is on the branch {place.branch}: open a pull request for it"
    return f"{commit} is on {made['branch']}; the agent sees it with its next poll"
