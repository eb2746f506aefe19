"""`undrift completion`."""

from __future__ import annotations

import click
from click import shell_completion

from undrift.cli import telling


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script: `source <(undrift completion bash)`."""
    from undrift.cli import main

    made = shell_completion.get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(made(main.cli, {}, "undrift", "_UNDRIFT_COMPLETE").source())
    return telling.Exit.OK
