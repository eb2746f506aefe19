"""How the story sounds: typography on a terminal, plain in a pipe, a line of JSON each for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from undrift.cli import telling, terminal
from undrift.cli.showing import plan

_WIDEST = 100
_INDENT = "   "


class Narrator:
    """Tells steps, what was done in them and what was seen."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._number = 0

    def title(self, text: str, *below: str) -> None:
        """How it begins, or ends."""
        if self._as_json:
            telling.line({"title": text.strip()})
            return
        click.echo(telling.style(text, bold=True), color=True)
        for line in below:
            click.echo(line)

    def step(self, text: str) -> None:
        """A chapter."""
        self._number += 1
        if self._as_json:
            telling.line({"step": self._number, "title": text})
            return
        head = f"{telling.style(str(self._number), fg='cyan', bold=True)}  {telling.style(text, bold=True)}"
        rule = "─" * max(0, self._width() - terminal.length(head) - 1)
        click.echo(f"\n{head} {telling.style(rule, dim=True)}".rstrip() if terminal.width() else f"\n{head}")

    def say(self, text: str) -> None:
        """What is going on."""
        if self._as_json:
            telling.line({"say": text})
            return
        for line in textwrap.wrap(text, self._width() - len(_INDENT), break_on_hyphens=False):
            click.echo(_INDENT + line)

    def does(self, command: str) -> None:
        """Something that a person could have typed, and that was done."""
        if self._as_json:
            telling.line({"does": command})
            return
        click.echo(f"{_INDENT}{telling.style('$', dim=True)} {telling.style(command, fg='cyan')}", color=True)

    def seen(self, text: str, seconds: float | None = None) -> None:
        """Something that was checked and is true; after how long, if that matters."""
        if self._as_json:
            telling.line({"seen": text} | ({} if seconds is None else {"seconds": round(seconds, 2)}))
            return
        took = (
            ""
            if seconds is None
            else telling.style(f"  after {seconds:.{1 if seconds >= 1 else 2}f} s", dim=True)
        )
        click.echo(f"{_INDENT}{telling.style('✓', fg='green', bold=True)} {text}{took}", color=True)

    def quote(self, lines: Iterable[str]) -> None:
        """Something that Undrift said."""
        told = list(lines)
        if self._as_json:
            telling.line({"quote": [click.unstyle(line) for line in told]})
            return
        bar = telling.style("│", dim=True)
        for line in told:
            click.echo(f"{_INDENT}  {bar} {line}".rstrip(), color=True)

    def diff(self, text: str) -> None:
        """The lines of a diff that differ; who looks knows which file it is."""
        lines = [line for line in text.splitlines() if not line.startswith(("---", "+++", "@@"))]
        self.quote(plan.coloured(line) for line in lines)

    def suggestion(self, comment: str, commands: Iterable[str]) -> None:
        """Something to try, as lines to copy."""
        told = list(commands)
        if self._as_json:
            telling.line({"try": told, "comment": comment})
            return
        click.echo(f"\n{_INDENT}{telling.style(f'# {comment}', dim=True)}", color=True)
        for command in told:
            click.echo(f"{_INDENT}{telling.style(command, fg='cyan')}", color=True)

    def _width(self) -> int:
        return min(_WIDEST, terminal.width() or _WIDEST)
