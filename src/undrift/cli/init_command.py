"""`undrift init`."""

from __future__ import annotations

import asyncio
import pathlib
from typing import Any

import click

from undrift.cli import telling

_SYSTEMS = ("azure", "gitea", "github", "gitlab", "jenkins", "shell")


@click.command("init")
@click.argument("path", default=".", type=click.Path(path_type=pathlib.Path))
@click.option("--gitops", metavar="URL", default="", help="The GitOps repository, without credentials.")
@click.option(
    "--application",
    metavar="NAME",
    default="",
    help="The application's name [default: that of the repository].",
)
@click.option(
    "--from-jenkinsfile",
    "jenkinsfile",
    metavar="FILE",
    is_flag=False,
    flag_value="Jenkinsfile",
    default="",
    help="Convert its call of gitops-build-lib [default: Jenkinsfile].",
)
@click.option(
    "--ci",
    type=click.Choice(_SYSTEMS),
    help="Write the file of a CI system, too; printed where there is one.",
)
@click.option("--force", is_flag=True, help="Write over what is there.")
@telling.output
def command(path: pathlib.Path, output: str, **asked: Any) -> int:
    """Write a commented undrift.yaml from what lies in the repository at PATH, and what its CI runs.

    A Helm chart, overlays of Kustomize, manifests, Jsonnet or the files of another layer are found, with their stages,
    images and namespaces. Nothing is sent anywhere.

    Exit code 0: the file is written.
    """
    from undrift.cli.showing import beginning
    from undrift.publishing import initiating

    asked["ci"] = asked["ci"] or ""
    order = initiating.Order(folder=path.expanduser().absolute(), **asked)
    begun = asyncio.run(initiating.begin(order))
    if output == "json":
        telling.data(beginning.data(begun))
    else:
        telling.show(beginning.lines(begun))
    return telling.Exit.OK
