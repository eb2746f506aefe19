"""The least rights that what a checkout declares needs, by target."""

from __future__ import annotations

import asyncio
import collections
import pathlib
from collections.abc import Iterator

from undrift import errors
from undrift.cli import offline, telling
from undrift.model import resource


def rights(folder: pathlib.Path, path: str | None) -> Iterator[str]:
    """Documents of the layers, one text a target. Raises `UsageInvalid`, and what keeps an application from rendering."""
    with telling.working(f"rendering {folder}"):
        found = asyncio.run(offline.declared(folder, path))
    by_target: dict[str, dict[str, list[resource.Resource]]] = collections.defaultdict(
        lambda: collections.defaultdict(list)
    )
    shown: dict[str, offline.Declared] = {}
    for one in found:
        shown[one.place.name] = one
        by_target[one.place.name][one.application.account].extend(one.desired.resources.values())
    for name, wanted in sorted(by_target.items()):
        one = shown[name]
        text = one.provider.rights(f"undrift-{name}", one.facts, wanted)
        yield f"# Target {name}\n{text}" if text else f"# Target {name}: its layer knows no rights\n"
    if not found:
        raise errors.UsageInvalid(
            f"{folder} declares no application", hint="name a checkout with applications"
        )
