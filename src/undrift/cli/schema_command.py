"""`undrift schema`."""

from __future__ import annotations

import click

from undrift.cli import telling


@click.command("schema")
@click.argument("kind", required=False)
def command(kind: str | None) -> int:
    """Print the JSON Schema of all documents, or of one KIND.

    In an editor with the YAML language server: `# yaml-language-server: $schema=undrift.schema.json`.
    """
    from undrift.config import schema

    telling.data(schema.export(kind or ""))
    return telling.Exit.OK
