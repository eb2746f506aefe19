"""`undrift import`."""

from __future__ import annotations

import pathlib

import click

from undrift.cli import telling


@click.command("import")
@click.argument("layer")
@click.argument("scope")
@click.option(
    "--to",
    "folder",
    default=".",
    metavar="FOLDER",
    help="Where the files are written [default: where you are].",
)
@click.option("--target", metavar="NAME", help="The name of the Target [default: that of the layer].")
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the Target, as in its document: kubeconfig=/path, context=name. May be repeated.",
)
@telling.output
def command(
    layer: str, scope: str, folder: str, target: str | None, given: tuple[str, ...], output: str
) -> int:
    """Write files and Applications for what is on a target already: `undrift import kubernetes NAMESPACE`.

    Nothing on the target is changed, and no file is overwritten. The Applications may take over what was found, and
    what they declare is what is there: the first plan takes over and changes no field. Secrets are left out.

    Exit code 0: the files are written.
    """
    from undrift.cli import importing

    place = pathlib.Path(folder).expanduser().absolute()
    with telling.working(f"looking at {scope}"):
        written = importing.write(importing.Order(layer, scope, place, target or layer, given))
    if output == "json":
        telling.data({
            "files": [str(path) for path in written.files],
            "applications": list(written.applications),
            "left_out": [{"id": name, "why": why} for name, why in written.left_out],
        })  # fmt: skip
        return telling.Exit.OK
    telling.show(importing.told(written, place))
    return telling.Exit.OK
