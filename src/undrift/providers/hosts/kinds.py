"""The kinds of resources a host has, how their ids are made, and fields that have to be kept as text."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from undrift.model import resource, secret

FILE: Final = "File"
DIRECTORY: Final = "Directory"
LINK: Final = "Link"
BLOCK: Final = "Block"
SERVICE: Final = "Service"
COMMAND: Final = "Command"
ORDER: Final = (DIRECTORY, FILE, LINK, BLOCK, COMMAND, SERVICE)
"""In which they are made; what is in an archive is files, directories and links."""
INSTANT: Final = frozenset({DIRECTORY, FILE, LINK, BLOCK})
"""What is done when it is written."""
AT_PATHS: Final = frozenset({FILE, DIRECTORY, LINK})
"""What takes a path for itself."""


def block_id(path: str, name: str) -> resource.ResourceId:
    """The id of a block: the file it is in, and its name there."""
    return resource.ResourceId.of(BLOCK, f"{path}#{name}")


def path_of(rid: resource.ResourceId) -> str:
    """Where a resource is; "" for what has no path."""
    if rid.kind == BLOCK:
        return rid.name.rpartition("#")[0]
    return rid.name if rid.kind in AT_PATHS else ""


def parent_of(rid: resource.ResourceId) -> resource.ResourceId:
    """The directory that a resource is in."""
    return resource.ResourceId.of(DIRECTORY, posixpath.dirname(path_of(rid)))


def hide(value: Any) -> secret.Secret:
    """Any JSON-like value as a secret."""
    return secret.Secret(json.dumps(value, sort_keys=True))


def reveal(value: Any) -> Any:
    """The value behind `hide`; what is no secret as it is."""
    return json.loads(value.reveal()) if isinstance(value, secret.Secret) else value


def keep(fields: resource.Fields) -> dict[str, Any]:
    """Fields as JSON-like data, to be kept on the target: `values`, and which of them are `secret`."""
    return {
        "values": {name: reveal(value) for name, value in fields.items()},
        "secret": sorted(name for name, value in fields.items() if isinstance(value, secret.Secret)),
    }


def kept(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that `keep` made data of. Raises `KeyError` and `TypeError` for anything else."""
    hidden = frozenset(data["secret"])
    return {name: hide(value) if name in hidden else value for name, value in data["values"].items()}
