"""Config repositories for tests, in memory."""

from collections.abc import Mapping
from typing import Any

from undrift.config import configuration, reading
from undrift.model import source

BASE = """apiVersion: undrift.dev/v1
kind: Agent
metadata: {name: main}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {name: servers}
spec: {provider: hosts, settings: {root: /srv}}
"""


def application(name: str, spec: str = "", target: str = "servers") -> str:
    """A document; `spec` are more fields of its spec in flow style."""
    more = f", {spec}" if spec else ""
    return (
        "---\napiVersion: undrift.dev/v1\nkind: Application\n"
        f"metadata: {{name: {name}}}\nspec: {{source: {{path: apps/{name}}}, target: {target}{more}}}\n"
    )


def artifact(files: Mapping[str, Any], path: str = ".") -> source.Artifact:
    """An artifact with these files: text, bytes, or a `source.File`."""
    made = {
        name: content
        if isinstance(content, source.File)
        else source.File(content.encode() if isinstance(content, str) else content)
        for name, content in files.items()
    }
    revision = source.Revision("main", "sha1:" + "1" * 40, author="Ada <ada@example.org>")
    return source.Artifact(revision, path, "sha256:1", made)


async def read(text: str, files: Mapping[str, str] | None = None) -> configuration.Configuration:
    """What one file (and others by their names) declares."""
    return await reading.read(artifact({"undrift.yaml": text, **(files or {})}))


async def read_well(text: str) -> configuration.Configuration:
    """The same, where nothing may be wrong."""
    found = await read(text)
    assert not found.errors, "\n".join(str(error) for error in found.errors)
    return found
