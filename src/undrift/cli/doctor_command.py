"""`undrift doctor`."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from undrift import client, errors
from undrift.cli import telling

_LEAST_GIT = (2, 36)
_LEAST_DISK = 200 << 20
_SKEW = 5.0


class Finding(NamedTuple):
    """One check: `ok`, `warn` or `fail`, what was found and what to do."""

    level: str
    what: str
    found: str
    todo: str = ""


@click.command("doctor")
@telling.output
@telling.socket
def command(output: str, socket: str | None) -> int:
    """Check the machine and the agent, and say what to do about what is wrong.

    Exit code 0: nothing fails; 3: something does.
    """
    path = pathlib.Path(socket) if socket else client.default_socket()
    found = [finding for check in _CHECKS for finding in check(path)]
    if output == "json":
        telling.data([finding._asdict() for finding in found])
    else:
        for finding in found:
            _tell(finding)
    return telling.Exit.DIFFERENT if any(one.level == "fail" for one in found) else telling.Exit.OK


def _tell(finding: Finding) -> None:
    symbol, colour = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}[finding.level]
    click.echo(f"{telling.style(symbol, fg=colour)} {finding.what}: {finding.found}")
    if finding.todo:
        click.echo(f"    → {finding.todo}")


def _python(_: pathlib.Path) -> Iterator[Finding]:
    yield Finding("ok", "Python", sys.version.split()[0])


def _git(_: pathlib.Path) -> Iterator[Finding]:
    git = shutil.which("git")
    if git is None:
        yield Finding("fail", "Git", "not installed", "install Git 2.36 or newer")
        return
    done = subprocess.run([git, "--version"], capture_output=True, text=True, check=False, timeout=10)
    version = done.stdout.split()[2] if len(done.stdout.split()) > 2 else "?"  # noqa: PLR2004 - "git version X"
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    fine = numbers >= _LEAST_GIT
    yield Finding("ok" if fine else "fail", "Git", version, "" if fine else "install Git 2.36 or newer")


def _tools(_: pathlib.Path) -> Iterator[Finding]:
    for name, need in (
        ("git-lfs", "only for sources with lfs: true"),
        ("gpg", "only for OpenPGP signatures and SOPS with PGP"),
        ("ssh", "only for sources over SSH"),
        ("systemctl", "without it services run under supervisor"),
    ):
        place = shutil.which(name)
        yield Finding("ok" if place else "warn", name, place or f"not installed; {need}")


def _state(path: pathlib.Path) -> Iterator[Finding]:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        yield Finding(
            "fail", "state folder", f"{folder} cannot be written", "choose another with --state-dir"
        )
        return
    free = shutil.disk_usage(folder).free
    fine = free > _LEAST_DISK
    todo = "" if fine else "free some space: the agent needs it for Git and its database"
    yield Finding("ok" if fine else "fail", "disk", f"{free >> 20} MiB free in {folder}", todo)
    if path.parent.exists() and path.parent.stat().st_mode & 0o077:
        yield Finding(
            "warn", "permissions", f"others can look into {path.parent}", f"chmod 700 {path.parent}"
        )


def _agent(path: pathlib.Path) -> Iterator[Finding]:
    agent = client.Client(path)
    try:
        found = agent.agent()
        applications = agent.status()
    except errors.UndriftError as error:
        yield Finding("fail", "agent", str(error), error.hint)
        return
    since = telling.ago(found["started"])
    yield Finding(
        "ok", "agent", f"{found['name'] or 'not configured yet'} {found['version']}, started {since}"
    )
    yield from _clock(found)
    yield from _sources(found)
    for error in found["errors"]:
        yield Finding(
            "fail", "configuration", f"{error['where']}: {error['code']} {error['what']}", error["hint"]
        )
    for target in found["targets"]:
        yield from _target(target["name"], applications)


def _clock(found: dict[str, Any]) -> Iterator[Finding]:
    skew = abs(found["now"] - time.time())
    if skew > _SKEW:
        yield Finding(
            "warn",
            "clock",
            f"the agent's differs by {skew:.0f} s",
            "synchronise the clocks: windows depend on them",
        )


def _sources(found: dict[str, Any]) -> Iterator[Finding]:
    for source in found["sources"]:
        error = source["error"]
        if error:
            yield Finding(
                "fail", f"source {source['name']}", f"{error['code']} {error['what']}", error["hint"]
            )
        elif source["revision"]:
            yield Finding(
                "ok", f"source {source['name']}", f"{source['url']} at {source['revision']['short']}"
            )


def _target(name: str, applications: list[dict[str, Any]]) -> Iterator[Finding]:
    """A target is well when what is on it could be looked at."""
    on_it = [one for one in applications if one["target"] == name]
    wrong = [one["failure"] for one in on_it if one["failure"] and one["failure"]["code"].startswith("UD5")]
    if wrong:
        yield Finding("fail", f"target {name}", f"{wrong[0]['code']} {wrong[0]['what']}", wrong[0]["hint"])
    else:
        yield Finding("ok", f"target {name}", f"{len(on_it)} applications")


_CHECKS: tuple[Callable[[pathlib.Path], Iterator[Finding]], ...] = (_python, _git, _tools, _state, _agent)
