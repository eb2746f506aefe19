"""`undrift doctor`."""

from __future__ import annotations

import pathlib
import sys

import click

from undrift.cli import asking, telling

_SIGNS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command("doctor")
@click.option(
    "--repository",
    envvar="UNDRIFT_REPOSITORY",
    metavar="URL|PATH",
    help="Where no agent runs: the repository that it would read.",
)
@click.option("--branch", envvar="UNDRIFT_BRANCH", metavar="NAME", help="Its branch [default: main].")
@click.option(
    "--path", envvar="UNDRIFT_PATH", metavar="FOLDER", help="The folder of the configuration in it."
)
@click.option(
    "--state-dir",
    envvar="UNDRIFT_STATE_DIR",
    metavar="FOLDER",
    help="The agent's state folder [default: the one that its socket is in].",
)
@click.option(
    "--rbac",
    is_flag=False,
    flag_value=".",
    metavar="FOLDER",
    help="Instead, print the least rights that what the checkout in FOLDER declares needs [default: here].",
)
@telling.output
@asking.socket
def command(output: str, socket: str | None, rbac: str | None, **given: str | None) -> int:
    """Check the machine, the agent, Git and the targets, and say what to do about what is wrong.

    Where an agent answers it tells how its sources and targets are. Where none does, Git is asked and the targets
    are looked at from here, with the same settings and variables as `undrift agent` has. Nothing is changed.

    With --rbac nothing is checked: it renders a checkout with your own access to its targets and prints, for each,
    what an agent would have to be allowed (on Kubernetes ClusterRoles, ready to be applied).

    Exit code 0: nothing fails; 3: something does.
    """
    if rbac is not None:
        return _rights(pathlib.Path(rbac).absolute(), given["path"])
    from undrift.cli.doctor import checking

    worst = telling.Exit.OK
    found = []
    for finding in checking.findings(asking.path(socket), given):
        found.append(finding)
        if finding.level == "fail":
            worst = telling.Exit.DIFFERENT
        if output == "text":
            sign, colour = _SIGNS[finding.level]
            click.echo(f"{telling.style(sign, fg=colour)} {finding.what}: {finding.found}", color=True)
            if finding.todo:
                click.echo(f"    → {finding.todo}")
            sys.stdout.flush()
    if output == "json":
        telling.data([finding._asdict() for finding in found])
    return worst


def _rights(folder: pathlib.Path, path: str | None) -> int:
    from undrift.cli.doctor import rights

    click.echo("---\n".join(rights.rights(folder, path)), nl=False)
    return telling.Exit.OK
