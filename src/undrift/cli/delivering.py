"""What the commands that run in CI share: the options that say which delivery is meant, and how findings are told."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from undrift import errors
from undrift.cli import telling

if TYPE_CHECKING:
    from undrift.model import publication
    from undrift.publishing import preparing

_F = TypeVar("_F", bound=Callable[..., Any])
FORMS: Final = ("text", "json", "github", "gitlab", "junit", "sarif")


def which(command: _F) -> _F:
    """Adds the options that say which delivery is meant, and of it what: `-C`, `--config`, `--application`, `--stage`."""
    for option in (
        click.option(
            "--stage", "stages", multiple=True, metavar="NAME", help="Only this stage; may be given again."
        ),
        click.option(
            "--application", metavar="NAME", help="Which, where the file declares several deliveries."
        ),
        click.option(
            "--config",
            metavar="FILE",
            help="The file of the delivery [default: undrift.yaml, here or above].",
        ),
        click.option(
            "-C",
            "folder",
            default=".",
            metavar="FOLDER",
            type=click.Path(path_type=pathlib.Path),
            help="Run in this folder.",
        ),
    ):
        command = option(command)
    return command


def inputs(command: _F) -> _F:
    """Adds the options with which CI brings images, values and the number of the build."""
    for option in (
        click.option(
            "--sequence",
            type=click.IntRange(min=1),
            metavar="N",
            help="The number of the build: orders builds where history cannot.",
        ),
        click.option(
            "--set",
            "values",
            multiple=True,
            metavar="PATH=VALUE",
            help="A value over that of `set` in the file.",
        ),
        click.option(
            "--image",
            "images",
            multiple=True,
            metavar="NAME=REFERENCE",
            help="An image over that of `images` in the file.",
        ),
    ):
        command = option(command)
    return command


def form(command: _F) -> _F:
    """Adds `--output` with the formats of findings."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMS),
        default="text",
        show_default=True,
        help="For people, for machines, or for what shows findings in reviews.",
    )(command)


def request(
    folder: pathlib.Path, given: dict[str, Any], *, revision: str = "HEAD", lenient: bool = False
) -> preparing.Request:
    """What the options ask for. `given` are those of `which` and `inputs`; some may be missing."""
    from undrift.publishing import preparing

    return preparing.Request(
        folder=folder.expanduser().absolute(),
        config=given.get("config") or "",
        application=given.get("application") or "",
        stages=tuple(given.get("stages") or ()),
        revision=revision,
        images=pairs(given.get("images") or (), "--image", "NAME=REFERENCE"),
        values=pairs(given.get("values") or (), "--set", "PATH=VALUE"),
        sequence=given.get("sequence") or 0,
        lenient=lenient,
    )


def pairs(given: Sequence[str], option: str, form_: str) -> dict[str, str]:
    """`name=value` of an option that may be given again. Raises `UsageInvalid`."""
    found: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name or not value:
            raise errors.UsageInvalid(f"{option} {one} makes no sense", hint=f"write {option} {form_}")
        found[name] = value
    return found


def seconds(option: str, given: str) -> float:
    """A span of time that an option has. Raises `UsageInvalid`."""
    from undrift.lib import durations

    try:
        return float(durations.parse(given))
    except ValueError as error:
        raise errors.UsageInvalid(f"{option} {error}", hint="write 30s, 2m, 1h") from None


def tell(found: publication.Findings, output: str) -> None:
    """Print findings in the format that was asked for; for people to standard error."""
    if output == "text":
        for label, colour, group in (("warning", "yellow", found.warnings), ("error", "red", found.failed)):
            for error in group:
                for line in telling.lines(telling.described(error), label, colour):
                    click.echo(line, err=True)
        for one in found.waived:
            click.echo(f"waived until {one.until} by {one.owner}: {one.error}", err=True)
        return
    from undrift.publishing import announcing

    written = announcing.write(found, output)
    if written:
        click.echo(written)


def fail(error: errors.UndriftError, output: str) -> int:
    """Tell an error in the format that was asked for, and give its exit code."""
    from undrift.cli import exits
    from undrift.model import publication

    if output in {"text", "json"}:
        telling.error(error, as_json=output == "json")
    else:
        tell(publication.Findings(failed=error.parts), output)
        telling.error(error)
    sys.stdout.flush()
    return exits.of(error)
