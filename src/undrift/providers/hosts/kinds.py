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
HOSTNAME: Final = "Hostname"
TIME_ZONE: Final = "TimeZone"
MODULE: Final = "KernelModule"
SYSCTL: Final = "Sysctl"
REPOSITORY: Final = "Repository"
PACKAGE: Final = "Package"
GROUP: Final = "Group"
USER: Final = "User"
KEYS: Final = "AuthorizedKeys"
SUDOERS: Final = "Sudoers"
MOUNT: Final = "Mount"
LINE: Final = "Line"
CRON: Final = "Cron"
FIREWALL: Final = "Firewall"
DROP_IN: Final = "DropIn"
UNIT: Final = "Unit"
_FIRST: Final = (
    *(HOSTNAME, TIME_ZONE, REPOSITORY, PACKAGE, MODULE, SYSCTL, GROUP, USER, MOUNT),
    *(DIRECTORY, FILE, LINK, BLOCK, LINE, KEYS, SUDOERS, CRON, DROP_IN),
)
ORDER: Final = (*_FIRST, FIREWALL, COMMAND, UNIT, SERVICE)
"""In which they are made: packages bring users and files along. What is in an archive is files, directories and links."""
INSTANT: Final = frozenset({*_FIRST, FIREWALL})
"""What is done when it is written."""
AT_PATHS: Final = frozenset({FILE, DIRECTORY, LINK})
"""What takes a path for itself."""


def block_id(path: str, name: str) -> resource.ResourceId:
    """The id of a block: the file it is in, and its name there."""
    return resource.ResourceId.of(BLOCK, f"{path}#{name}")


def line_id(path: str, name: str) -> resource.ResourceId:
    """The id of a line: the file it is in, and what we call it there."""
    return resource.ResourceId.of(LINE, f"{path}#{name}")


def path_of(rid: resource.ResourceId) -> str:
    """Where a resource is; "" for what has no path."""
    if rid.kind in {BLOCK, LINE}:
        return rid.name.rpartition("#")[0]
    return rid.name if rid.kind in AT_PATHS else ""


_SHARED: Final = {
    **dict.fromkeys((SERVICE, UNIT, DROP_IN, FIREWALL), "services"),
    **dict.fromkeys((PACKAGE, REPOSITORY), "packages"),
    **dict.fromkeys((USER, GROUP), "accounts"),
    MOUNT: "mounts",
}


def scope_of(rid: resource.ResourceId) -> str:
    """What a resource shares with others of the machine, and only one may change at a time; "" for nothing."""
    if rid.kind in {BLOCK, LINE}:
        return path_of(rid)
    return f"AuthorizedKeys/{rid.name.partition('#')[0]}" if rid.kind == KEYS else _SHARED.get(rid.kind, "")


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
