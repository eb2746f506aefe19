"""How commands speak: errors, colours only where a person reads, JSON for machines, exit codes."""

from __future__ import annotations

import enum
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from undrift import errors

_F = TypeVar("_F", bound=Callable[..., Any])


class Exit(enum.IntEnum):
    """What a command's exit code says."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DIFFERENT = 3
    INTERRUPTED = 130


def output(command: _F) -> _F:
    """Adds `--output text|json`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="For people or for machines.",
    )(command)


def socket(command: _F) -> _F:
    """Adds `--socket`."""
    return click.option(
        "--socket",
        type=click.Path(),
        envvar="UNDRIFT_SOCKET",
        help="The agent's socket [default: agent.sock in its state folder].",
    )(command)


def data(found: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def style(text: str, **how: Any) -> str:
    """Colour where a person reads: on a terminal, unless NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, **how)


def progress(text: str) -> None:
    """A word on what is going on: on a terminal only."""
    if sys.stderr.isatty():
        click.echo(text, err=True)


def error(value: errors.UndriftError, *, as_json: bool = False) -> None:
    """Tell an error: what, where, why and what next; as JSON to standard output where JSON was asked for."""
    if as_json:
        data({"errors": [described(part) for part in value.parts]})
        return
    for part in value.parts:
        for line in lines(described(part)):
            click.echo(line, err=True)


def described(value: errors.UndriftError) -> dict[str, Any]:
    """An error as data, in the shape the agent uses."""
    return {
        "code": value.code,
        "what": value.what,
        "where": str(value.origin) if value.origin else "",
        "why": value.why,
        "hint": value.hint,
        "revision": value.revision,
        "author": value.author,
    }


def lines(told: Mapping[str, Any]) -> Iterable[str]:
    """An error's lines for people."""
    if told.get("parts"):
        for part in told["parts"]:
            yield from lines(part)
        return
    yield f"{style('error', fg='red', bold=True)} {told['code']}: {told['what']}"
    commit = " by ".join(part for part in (told.get("revision"), told.get("author")) if part)
    for label, text in (
        ("where", told.get("where")),
        ("commit", commit),
        ("why", told.get("why")),
        ("next", told.get("hint")),
    ):
        if text:
            first, *rest = str(text).splitlines()
            yield f"  {label + ':':<8}{first}"
            yield from (f"  {'':<8}{line}" for line in rest)


def ago(then: float, now: float | None = None) -> str:
    """How long ago something was, in one unit; "never" for 0."""
    if not then:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - then)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def table(rows: list[list[str]], width: int) -> list[str]:
    """Columns as wide as they need; the last takes what is left of `width`, or is cut."""
    if not rows:
        return []
    sizes = [max(len(click.unstyle(row[index])) for row in rows) for index in range(len(rows[0]))]
    found = []
    for row in rows:
        *head, last = row
        left = "  ".join(
            cell + " " * (size - len(click.unstyle(cell))) for cell, size in zip(head, sizes, strict=False)
        )
        room = max(10, width - len(click.unstyle(left)) - 2)
        plain = click.unstyle(last)
        found.append(f"{left}  {last if len(plain) <= room else plain[: room - 1] + '…'}".rstrip())
    return found
