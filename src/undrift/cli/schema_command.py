"""`undrift schema`."""

from __future__ import annotations

import click

from undrift.cli import telling


@click.command("schema")
@click.argument("kind", required=False)
@telling.output
def command(kind: str | None, output: str) -> int:  # noqa: ARG001 - every command has the option
    """Print the JSON Schema of all documents, or of one KIND (it is JSON in either output).

    For an editor with a YAML language server: write it to undrift.schema.json and begin each file with
    `# yaml-language-server: $schema=undrift.schema.json`.
    """
    from undrift.config import schema

    telling.data(schema.export(kind or ""))
    return telling.Exit.OK
