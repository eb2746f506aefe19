"""The group of commands; each is imported when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import types

import click
from click import shell_completion

import undrift
from undrift import errors
from undrift.cli import telling

COMMANDS = {
    "agent": "Keep targets true: run the process that never stops.",
    "apply": "Make the local stage true on a cluster of your own.",
    "approve": "Approve a plan by its digest.",
    "bootstrap": "Install an agent into the cluster that it keeps true, itself included.",
    "comment": "Say on a pull request what it would change.",
    "completion": "Print the completion script for a shell.",
    "demo": "See it work on this machine, in a sandbox.",
    "diff": "Show what differs between Git and the target, line by line.",
    "doctor": "Check Git, targets, tools, clock, disk and permissions.",
    "error": "Explain an error by its code.",
    "history": "Show what was done, newest first.",
    "import": "Write files and applications for what runs already.",
    "init": "Write undrift.yaml from what lies in a repository, and what its CI runs.",
    "logs": "Show events as they happen.",
    "plan": "Show what would be done, by the agent or from a checkout.",
    "preview": "Make, bring up to date or remove the stage of a pull request.",
    "promote": "Move revisions to the next stages, each through its gate.",
    "publish": "Render every stage and write it into the GitOps repository.",
    "reconcile": "Fetch, look and apply now.",
    "render": "Render every stage as it would be published.",
    "resume": "Let an application go on.",
    "rollback": "Restore an application's files from an earlier revision.",
    "schema": "Print the JSON Schema of the configuration, for editors.",
    "status": "Show every application at a glance.",
    "suspend": "Stop changing an application, in Git or for a while.",
    "update": "Publish new images from their registries into the stages that watch them.",
    "validate": "Check the documents of a checkout, all errors at once.",
}
_TRACEBACK = "UNDRIFT_TRACEBACK"


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

            near = words.nearest(args[0], COMMANDS)
            hint = f"did you mean {near}?" if near else "see `undrift --help`"
            raise errors.UsageInvalid(f"there is no command {args[0]}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[shell_completion.CompletionItem]:
        found = [
            shell_completion.CompletionItem(name, help=summary)
            for name, summary in sorted(COMMANDS.items())
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(undrift.__version__, prog_name="undrift", message="%(prog)s %(version)s")
def cli() -> None:
    """Undrift makes what is declared in Git true on every layer, and keeps it true."""


def main() -> None:
    """The entry point: whatever happens is told, and the exit code is one of `telling.Exit`."""
    as_json = _wants_json(sys.argv)
    _alone()
    signal.signal(signal.SIGTERM, _ended)
    try:
        code = cli.main(standalone_mode=False, prog_name="undrift")
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message(), err=True)
        code = telling.Exit.USAGE
    except (errors.UndriftError, click.ClickException) as error:
        code = _told(error, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        code = telling.Exit.INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        code = telling.Exit.PIPE_CLOSED
    except Exception as error:
        known = _known(error)
        if known is not None:
            raise SystemExit(_told(known, as_json=as_json)) from None
        if os.environ.get(_TRACEBACK):
            raise
        code = _told(_defect(error), as_json=as_json)
    raise SystemExit(int(code) if isinstance(code, int) else telling.Exit.OK)


def _alone() -> None:
    """No plug-ins of pydantic are looked for: none may change how our documents are read, and looking takes a while."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _ended(_: int, __: types.FrameType | None) -> None:
    """CI cancels a job: as with Ctrl-C, what was started is ended with us, and what was made for a while is cleared away."""
    raise SystemExit(int(telling.Exit.ENDED))


def _told(error: errors.UndriftError | click.ClickException, *, as_json: bool) -> int:
    """Tell an error. A command line that makes no sense has an exit code of its own."""
    value = _usage(error) if isinstance(error, click.ClickException) else error
    try:
        telling.error(value, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return telling.Exit.PIPE_CLOSED
    if _runs_in_ci():
        from undrift.cli import exits

        return exits.of(value)
    return telling.Exit.USAGE if isinstance(value, errors.UsageInvalid) else telling.Exit.ERROR


def _runs_in_ci() -> bool:
    """Whether the command is one of those that have exit codes of their own."""
    from undrift.cli import exits

    return next((one for one in sys.argv[1:] if not one.startswith("-")), "") in exits.COMMANDS


def _known(error: Exception) -> errors.UndriftError | None:
    """Our own error, where a group of tasks ended with it."""
    if isinstance(error, errors.UndriftError):
        return error
    inner = error.exceptions if isinstance(error, ExceptionGroup) else ()
    return next((found for one in inner if (found := _known(one)) is not None), None)


def _usage(error: click.ClickException) -> errors.UndriftError:
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "undrift"
    what = error.format_message().rstrip(".")
    return errors.UsageInvalid(what[:1].lower() + what[1:], hint=f"see `{path} --help`")


def _defect(error: Exception) -> errors.UndriftError:
    return errors.InternalError(
        "a defect of Undrift",
        why=f"{type(error).__name__}: {error}",
        hint=f"please report it with what {_TRACEBACK}=1 shows",
    )


def _forget_output() -> None:
    """Nobody reads standard output any more: what is left in its buffer must not fail at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wants_json(argv: list[str]) -> bool:
    """Whether errors are to be JSON; read by hand, because the command line may be what is wrong."""
    given = zip(argv, [*argv[1:], ""], strict=True)
    return any(
        (one in {"-o", "--output"} and two == "json") or one in {"--output=json", "-ojson"}
        for one, two in given
    )
