"""`undrift completion`."""

from __future__ import annotations

import click
from click import shell_completion

from undrift.cli import telling


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@telling.output
def command(shell: str, output: str) -> int:
    """Print the completion script of a shell: commands, options and the names of applications.

    bash: `source <(undrift completion bash)` in ~/.bashrc; zsh: the same in ~/.zshrc, after compinit;
    fish: `undrift completion fish > ~/.config/fish/completions/undrift.fish`.
    """
    from undrift.cli import main

    made = shell_completion.get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    script = made(main.cli, {}, "undrift", "_UNDRIFT_COMPLETE").source()
    if output == "json":
        telling.data({"shell": shell, "script": script})
    else:
        click.echo(script)
    return telling.Exit.OK
