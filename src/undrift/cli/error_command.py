"""`undrift error`."""

from __future__ import annotations

import inspect

import click

from undrift import client, errors
from undrift.cli import telling


@click.command("error")
@click.argument("code")
@telling.output
def command(code: str, output: str) -> int:
    """Explain an error by its CODE, for example UD601."""
    known = {kind.code: kind for kind in errors.kinds().values()}
    kind = known.get(code.upper())
    if kind is None:
        from undrift.lib import words

        raise errors.UsageInvalid(f"there is no error {code}", hint=words.suggestion(code.upper(), known))
    meaning = inspect.getdoc(kind) or ""
    if output == "json":
        telling.data(
            {
                "code": kind.code,
                "name": kind.__name__,
                "meaning": meaning,
                "waiting_helps": kind.waiting_helps,
            }
        )
    else:
        click.echo(f"{kind.code} {kind.__name__}\n  {meaning}")
        click.echo(
            "  It is tried again by itself."
            if kind.waiting_helps
            else "  It needs a change, in Git or by a person."
        )
    return telling.Exit.OK
