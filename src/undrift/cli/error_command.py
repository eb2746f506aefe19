"""`undrift error`."""

from __future__ import annotations

import inspect

import click
from click import shell_completion

from undrift import errors
from undrift.cli import telling

_SUMMARIES = {True: "It is tried again by itself.", False: "It needs a change, in Git or by a person."}


def _codes(_: click.Context, __: click.Parameter, incomplete: str) -> list[shell_completion.CompletionItem]:
    return [
        shell_completion.CompletionItem(code, help=(inspect.getdoc(kind) or "").splitlines()[0])
        for code, kind in sorted(errors.kinds().items())
        if code.startswith(incomplete.upper())
    ]


@click.command("error")
@click.argument("code", required=False, shell_complete=_codes)
@telling.output
def command(code: str | None, output: str) -> int:
    """Explain an error by its CODE, for example UD601; without one: list all."""
    known = dict(sorted(errors.kinds().items()))
    if code is not None and code.upper() not in known:
        raise errors.UsageInvalid(f"there is no error {code}", hint="`undrift error` lists them all")
    chosen = [_described(kind) for name, kind in known.items() if code is None or name == code.upper()]
    if output == "json":
        telling.data(chosen if code is None else chosen[0])
    elif code is None:
        telling.show(f"{telling.style(str(one['code']), bold=True)}  {one['meaning']}" for one in chosen)
    else:
        told = chosen[0]
        click.echo(f"{telling.style(str(told['code']), bold=True)} {told['name']}: {told['meaning']}")
        click.echo(f"  {_SUMMARIES[bool(told['waiting_helps'])]}")
        click.echo(f"  An example and what to do: docs/reference/errors.md#{str(told['code']).lower()}")
    return telling.Exit.OK


def _described(kind: type[errors.UndriftError]) -> dict[str, object]:
    meaning = (inspect.getdoc(kind) or "").split("\n\n", 1)[0].replace("\n", " ")
    return {
        "code": kind.code,
        "name": kind.__name__,
        "meaning": meaning,
        "waiting_helps": kind.waiting_helps,
    }
