"""How every command speaks: text for people, JSON for machines, errors, and exit codes."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import click

from undrift import errors

_F = TypeVar("_F", bound=Callable[..., Any])
_DIGITS = 8
# Everything but printable signs and line ends (C0, DEL, C1, and what turns the direction of writing round).
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_ORDER = re.compile(r"##(?=(?:vso|teamcity)?\[)|^([ \t]*):(?=:)", re.MULTILINE)
"""How a line of a log begins an order to CI: Azure Pipelines and TeamCity anywhere in it, GitHub Actions at its start."""


class Exit(enum.IntEnum):
    """What a command's exit code says; the reference (docs/reference/cli.md) has the same table."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DIFFERENT = 3
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    ENDED = 143


def output(command: _F) -> _F:
    """Adds `--output text|json`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json"]),
        default="text",
        help="For people or for machines.",
        show_default=True,
    )(command)


def harmless(text: str) -> str:
    """What others wrote (commits, servers, programs), without signs that a terminal or the log of CI would obey."""
    return _ORDER.sub(
        lambda found: f"{found[1]}: " if found[1] is not None else "## ", _CONTROL.sub("�", text)
    )


def data(found: Any) -> None:
    """Print JSON."""
    click.echo(_json(found, indent=2))


def line(found: Any) -> None:
    """Print JSON on one line, at once: for streams."""
    click.echo(_json(found))
    sys.stdout.flush()


def _json(found: Any, **how: Any) -> str:
    """JSON in which no text begins an order to CI: it reads as it did."""
    return re.sub(r"##(?=(?:vso|teamcity)?\[)", r"#\\u0023", json.dumps(found, ensure_ascii=False, **how))


def style(text: str, **how: Any) -> str:
    """Colour where a person reads: on a terminal, unless NO_COLOR is set or it knows none."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not any(how.values()) else click.style(text, **how)


def show(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines for people."""
    for one in lines:
        click.echo(one, color=True, err=err)


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Say what is going on while it does: on a terminal only, and gone when it is over."""
    if not sys.stderr.isatty():
        yield
        return
    sys.stderr.write(f"{text} …")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def error(value: errors.UndriftError, *, as_json: bool = False) -> None:
    """Tell an error: what, where, why and what next; as JSON to standard output where JSON was asked for."""
    if as_json:
        data({"errors": [described(part) for part in value.parts]})
        return
    for part in value.parts:
        for told in lines(described(part)):
            click.echo(told, err=True)


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
        "waiting_helps": errors.waiting_helps(value),
    }


def lines(told: Mapping[str, Any], label: str = "error", colour: str = "red") -> Iterator[str]:
    """An error's lines for people; one that stands for several tells each. `label` is what it is here."""
    if told.get("parts"):
        for part in told["parts"]:
            yield from lines(part, label, colour)
        return
    yield f"{style(label, fg=colour, bold=True)} {style(told['code'], bold=True)}: {harmless(told['what'])}"
    commit = " by ".join(part for part in (short(told.get("revision")), told.get("author")) if part)
    for name, text in (
        ("where", told.get("where")),
        ("commit", commit),
        ("why", told.get("why")),
        ("next", told.get("hint")),
    ):
        if text:
            first, *rest = harmless(str(text)).splitlines()
            yield labelled(name, first, 8)
            yield from (f"  {'':<8}{more}" for more in rest)


def labelled(name: str, text: str, width: int) -> str:
    """`  name:   text`, the texts of several below one another."""
    return f"  {style(f'{name}:', dim=True)}{' ' * (width - len(name) - 1)}{text}"


def stop(told: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a plan from running: no error, but told the same way."""
    return lines(told, "stopped", "yellow")


def short(revision: str | None) -> str:
    """`main@sha1:<40 digits>` as people say it: `main@1a2b3c4d`."""
    name, _, digest = (revision or "").rpartition("@")
    digits = digest.partition(":")[2] or digest
    return "@".join(part for part in (name, digits[:_DIGITS]) if part)


def person(author: str) -> str:
    """The name in `Name <address>`; whatever there is where that is empty."""
    return author.partition("<")[0].strip() or author


def ago(then: float, now: float | None = None) -> str:
    """How long ago something was, in one unit; "never" for 0."""
    if not then:
        return "never"
    seconds = max(0.0, (time.time() if now is None else now) - then)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def clock(seconds: float) -> str:
    """A moment as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
