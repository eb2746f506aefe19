"""From what a survey of a target found to files of a GitOps repository."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from undrift import errors, interfaces, plugins
from undrift.cli import telling
from undrift.config import part
from undrift.lib import atomic, yaml
from undrift.model import finding, target
from undrift.sources import credentials

_LONGEST = 63
_CONFIGURATION = "undrift"


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """What is imported: a part of a target of a layer, with settings as NAME=VALUE, into a folder."""

    layer: str
    scope: str
    folder: pathlib.Path
    target: str
    settings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """The files, the Applications that they belong to, and what was left out and why."""

    files: tuple[pathlib.Path, ...]
    applications: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def write(order: Order) -> Written:
    """Survey the target and write the files. Raises `UsageInvalid` where one of them is there already."""
    settings = _settings(order.settings)
    found = asyncio.run(_survey(order, settings))
    if not found.found:
        raise errors.UsageInvalid(
            f"nothing in {order.scope} could be declared",
            why="; ".join(f"{name}: {why}" for name, why in found.left_out[:5]),
            hint="is it the right place?",
        )
    groups: dict[str, list[finding.Found]] = collections.defaultdict(list)
    for one in found.found:
        groups[_name(one.group) or _name(order.scope)].append(one)
    files = dict(_files(order, groups, settings, found.namespace))
    taken = [str(path) for path in files if path.exists()]
    if taken:
        raise errors.UsageInvalid(
            f"{taken[0]} is there already",
            why=f"and {len(taken) - 1} more" if len(taken) > 1 else "",
            hint="nothing was written: choose another folder with --to, or move it away",
        )
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode(), 0o644)
    return Written(tuple(sorted(files)), tuple(sorted(groups)), found.left_out)


def told(written: Written, folder: pathlib.Path) -> Iterator[str]:
    """What was done, and what comes next, for people."""
    count = len(written.files)
    names = ", ".join(written.applications)
    yield f"{count} files in {folder}: {telling.style(names, bold=True)}"
    if written.left_out:
        yield ""
        yield "left out:"
        yield from (f"  {name}: {why}" for name, why in written.left_out)
    yield ""
    yield f"next: look at the files, commit them, and see `undrift plan {folder}`: it takes over and changes no field"


async def _survey(order: Order, settings: Mapping[str, Any]) -> finding.Survey:
    provider = plugins.Registry(None).provider(order.layer)
    place = target.Target(order.target, order.layer, settings=settings)
    session = await provider.connect(place, credentials.EnvironmentSecrets())
    try:
        if not isinstance(session, interfaces.Surveyor):
            raise errors.UsageInvalid(
                f"{order.layer} cannot be imported",
                hint="write the manifests by hand; see the reference of the layer",
            )
        return await session.survey(order.scope)
    finally:
        await session.close()


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign or not name:
            raise errors.UsageInvalid(f"--set {one} cannot be used", hint="write NAME=VALUE")
        try:
            [document] = yaml.documents(value)
        except (yaml.YamlError, ValueError):
            raise errors.UsageInvalid(f"--set {one} cannot be used", hint="quote the value as YAML") from None
        found[name] = document.data
    return found


def _files(
    order: Order, groups: Mapping[str, list[finding.Found]], settings: Mapping[str, Any], namespace: str
) -> Iterator[tuple[pathlib.Path, str]]:
    configuration = order.folder / _CONFIGURATION
    spec: dict[str, Any] = {"provider": order.layer}
    if settings:
        spec["settings"] = dict(settings)
    yield configuration / f"target-{order.target}.yaml", _document("Target", order.target, spec)
    for name, some in groups.items():
        path = f"{_name(order.scope)}/{name}" if len(groups) > 1 else _name(order.scope)
        declared: dict[str, Any] = {"source": {"path": path}, "target": order.target}
        if namespace:
            declared["namespace"] = namespace
        declared["policy"] = {"adopt": ["*"]}
        yield configuration / f"{name}.yaml", _document("Application", name, declared)
        for one in some:
            yield order.folder / path / one.file, yaml.dump(dict(one.document))


def _document(kind: str, name: str, spec: Mapping[str, Any]) -> str:
    return yaml.dump(
        {"apiVersion": part.API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
    )


def _name(text: str) -> str:
    """Text as the name of a document."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")[:_LONGEST]
