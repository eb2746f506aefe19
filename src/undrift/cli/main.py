"""The group of commands; each is imported when it is called."""

from __future__ import annotations

import importlib
import sys

import click

import undrift
from undrift import errors
from undrift.cli import telling

COMMANDS = {
    "agent": "Keep targets true: run the process that never stops.",
    "approve": "Approve a plan by its digest.",
    "completion": "Print the completion script for a shell.",
    "demo": "See it work on this machine, in a sandbox.",
    "diff": "Show what differs between Git and the target, as text.",
    "doctor": "Check Git, targets, tools, disk and permissions, and say what to do.",
    "error": "Explain an error by its code.",
    "history": "Show what happened, newest first.",
    "logs": "Show events as they happen.",
    "plan": "Show what would be done, by the agent or from a checkout.",
    "reconcile": "Look at an application now.",
    "resume": "Let an application go on.",
    "rollback": "Restore an application's files from an earlier revision, as a commit.",
    "schema": "Print the JSON Schema of the configuration, for editors.",
    "status": "Show every application at a glance.",
    "suspend": "Stop changing an application, in Git or for a while.",
}


class _Lazy(click.Group):
    """Knows every command's name and summary without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"undrift.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from undrift.lib import words

            raise click.UsageError(
                f"there is no command {args[0]}: {words.suggestion(args[0], COMMANDS)}", ctx
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(undrift.__version__, prog_name="undrift")
def cli() -> None:
    """Undrift makes what is declared in Git true on every layer, and keeps it true."""


def main() -> None:
    """The entry point: errors are told, exit codes are those of docs/reference/cli.md."""
    json_wanted = _wants_json(sys.argv)
    try:
        code = cli.main(standalone_mode=False, prog_name="undrift")
    except errors.UndriftError as error:
        telling.error(error, as_json=json_wanted)
        raise SystemExit(telling.Exit.ERROR) from None
    except click.exceptions.Exit as end:
        raise SystemExit(end.exit_code) from None
    except click.ClickException as error:
        error.show()
        raise SystemExit(telling.Exit.USAGE) from None
    except (KeyboardInterrupt, click.Abort):
        raise SystemExit(telling.Exit.INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(telling.Exit.ERROR) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _wants_json(argv: list[str]) -> bool:
    given = list(zip(argv, [*argv[1:], ""], strict=True))
    return any((one in ("-o", "--output") and two == "json") or one == "--output=json" for one, two in given)
