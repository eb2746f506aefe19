"""`undrift bootstrap`."""

from __future__ import annotations

import pathlib

import click

import undrift
from undrift.cli import telling


@click.command("bootstrap")
@click.argument("layer")
@click.option(
    "--repository", required=True, metavar="URL", help="The Git repository as the agent will reach it."
)
@click.option("--branch", metavar="NAME", help="Its branch [default: main].")
@click.option(
    "--checkout", default=".", metavar="FOLDER", help="Your checkout of it [default: where you are]."
)
@click.option(
    "--path",
    default="undrift",
    metavar="FOLDER",
    help="The folder of the configuration in it.",
    show_default=True,
)
@click.option("--agent", default="main", metavar="NAME", help="The name of the agent.", show_default=True)
@click.option(
    "--target", default="cluster", metavar="NAME", help="The name of the Target.", show_default=True
)
@click.option(
    "--image",
    default=f"ghcr.io/undrift/undrift:{undrift.__version__}",
    metavar="IMAGE",
    help="The image of the agent.",
    show_default=True,
)
@click.option("--storage", default="1Gi", metavar="SIZE", help="For what it remembers.", show_default=True)
@click.option("--files-only", is_flag=True, help="Write the files, and change nothing on the cluster.")
@telling.output
def command(layer: str, *, files_only: bool, output: str, checkout: str, **given: str | None) -> int:
    """Install an agent into a cluster that keeps it true: `undrift bootstrap kubernetes --repository URL`.

    Writes what the agent is made of into your checkout: Agent, Target and an Application for itself, with the least
    rights that everything declared there for this target needs. Then makes that true with your own access to the
    cluster. Files that are there already stay as they are, but for its rights. Run it again after a new kind was
    declared; what is left to do (commit, push, the credential for Git) is said at the end.

    Exit code 0: the files are there, and so is the agent.
    """
    from undrift.cli import bootstrapping

    place = pathlib.Path(checkout).expanduser().absolute()
    order = bootstrapping.Order(layer=layer, checkout=place, **{k: v or "" for k, v in given.items()})
    done = bootstrapping.bootstrap(order, apply=not files_only)
    if output == "json":
        telling.data({
            "files": [str(path) for path in done.files],
            "changes": [f"{one.action.value} {one.id}" for one in done.changes],
            "next": list(done.following),
        })  # fmt: skip
        return telling.Exit.OK
    telling.show(bootstrapping.told(done))
    return telling.Exit.OK
