"""The whole of `undrift comment`: what a pull request would change, as one comment on it, edited in place.

On the application's own repository: every stage rendered before and after, with its findings. On the GitOps
repository: every application that is declared there, desired against desired (a target is never asked; the agent adds
what it would do on its own).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Final

from undrift import errors, interfaces, plugins
from undrift.config import configuration, reading
from undrift.forges import connecting
from undrift.lib import yaml
from undrift.model import application, delivery, forge, source
from undrift.publishing import (
    calling,
    contrasting,
    describing,
    gathering,
    placing,
    preparing,
    rendering,
    subject,
)
from undrift.sources.git import checkout

_NOTHING: Final[Mapping[str, source.File]] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Commented:
    """What a pull request would change, by stage or application, and the comment where one was written."""

    name: str
    views: tuple[subject.View, ...]
    comment: forge.Comment | None = None


async def of_delivery(request: preparing.Request, base: str) -> Commented:
    """Every stage of a delivery at the request's revision, against what `base` (a commit) renders to.

    Findings are part of it; what cannot be rendered is told in its place. Raises what is wrong with the delivery itself.
    """
    opened = await preparing.open_delivery(request)
    before = await _before(request, base)
    views = [await _stage(opened, stage, before) for stage in opened.stages]
    return Commented(opened.declared.application, tuple(views))


async def _before(request: preparing.Request, base: str) -> preparing.Opened | None:
    """The delivery as it was; None where it was not there, or not right."""
    try:
        return await preparing.open_delivery(
            dataclasses.replace(request, revision=base, stages=(), lenient=True)
        )
    except errors.ConfigError:
        return None


async def _stage(
    opened: preparing.Opened, stage: delivery.Stage, before: preparing.Opened | None
) -> subject.View:
    one = dataclasses.replace(opened, stages=(stage,))
    try:
        prepared = await preparing.complete(one)
    except errors.UndriftError as error:
        return subject.View(stage.name, error=error)
    old = await _rendered(before, stage.name) if before is not None else _NOTHING
    contrast = contrasting.contrast(old, prepared.renditions[0].files)
    return subject.View(stage.name, contrast, prepared.findings)


async def _rendered(before: preparing.Opened, name: str) -> Mapping[str, source.File]:
    """What a stage was rendered to; nothing where that cannot be told any more."""
    stage = next((one for one in before.declared.stages if one.name == name), None)
    if stage is None:
        return _NOTHING
    registry = plugins.Registry(None)
    with contextlib.suppress(errors.UndriftError):
        made = await rendering.render(before.declared, stage, before.place, before.named, registry)
        return made.files
    return _NOTHING


# --- the GitOps repository -----------------------------------------------------------------------------


async def of_configuration(history: checkout.Checkout, revision: str, base: str, path: str) -> Commented:
    """Every application that a GitOps repository declares below `path`, at two commits. Only what differs is told.

    Raises `ReferenceMissing`; what is wrong with one application is told in its place.
    """
    sides = [await _side(history, name, path) for name in (base, revision)]
    before, after = sides
    names = sorted({*before.found.applications, *after.found.applications, *after.found.faults})
    views = await asyncio.gather(*(_application(name, before, after) for name in names))
    told = [one for one in views if one.error is not None or not one.contrast.empty]
    return Commented(await history.address(), tuple(told))


@dataclasses.dataclass(frozen=True, slots=True)
class _Side:
    """A commit of the GitOps repository, and what it declares."""

    place: interfaces.Source
    named: source.Revision
    found: configuration.Configuration


async def _side(history: checkout.Checkout, name: str, path: str) -> _Side:
    place = history.at((await history.revision(name)).sha)
    named = await place.resolve()
    try:
        artifact = await place.fetch(named, path)
    except errors.PathMissing:
        artifact = source.Artifact(named, path, "")
    return _Side(place, named, await reading.Reader(None).read(artifact))


async def _application(name: str, before: _Side, after: _Side) -> subject.View:
    wrong = after.found.faults.get(name)
    if wrong:
        return subject.View(name, error=errors.gather(list(wrong)))
    try:
        new = await _files(after, after.found.applications.get(name))
    except errors.UndriftError as error:
        return subject.View(name, error=error)
    old: Mapping[str, source.File] = _NOTHING
    with contextlib.suppress(errors.UndriftError):
        old = await _files(before, before.found.applications.get(name))
    return subject.View(name, contrasting.contrast(old, new))


async def _files(side: _Side, known: application.Application | None) -> Mapping[str, source.File]:
    """What an application comes to: its files where they are taken as they are, else a file for each document."""
    if known is None or known.source.name != "config":
        return _NOTHING
    stage = delivery.Stage(known.name, delivery.Recipe(known.renderer.kind, known.source.path))
    pantry = gathering.Pantry(side.place, side.named, stage, known.name)
    artifact = await pantry.fetch(known.source.path)
    if known.renderer.kind == "plain":
        return artifact.files
    renderer = plugins.Registry(None).renderer(known.renderer.kind)
    recipe = interfaces.Recipe(known.name, known.namespace, known.source.path, known.renderer.settings)
    artifact = await gathering.around(renderer, artifact, recipe, pantry)
    rendered = await renderer.render(artifact, recipe, calling.facts(stage))
    documents = [one.data for one in rendered.documents if not one.secret]
    names = placing.names(documents)
    return {file: source.File(yaml.dump(data).encode()) for file, data in zip(names, documents, strict=True)}


# --- telling -------------------------------------------------------------------------------------------


def text(found: Commented, limits: forge.Limits) -> str:
    """The comment."""
    return describing.application_comment(found.name, found.views, limits)


async def write(found: Commented, url: str, number: int, environ: Mapping[str, str]) -> Commented:
    """Put it on a pull request of the repository at `url`, in place of an earlier one.

    Raises `ForgeUnknown`, `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`; `UsageInvalid` where there is no forge.
    """
    host = connecting.connect(
        url, environ.get("UNDRIFT_FORGE", ""), environ.get("UNDRIFT_FORGE_API", ""), environ
    )
    if host is None:
        raise errors.UsageInvalid(
            f"{url} is on no forge",
            hint="run it in a checkout of a forge's repository, or print it with --print",
        )
    try:
        marker = describing.application_marker(found.name)
        made = await host.upsert_comment(number, marker, text(found, host.limits))
    finally:
        await host.close_session()
    return dataclasses.replace(found, comment=made)


def failed(found: Commented) -> tuple[errors.UndriftError, ...]:
    """What keeps the stages from being published."""
    return tuple(
        part
        for view in found.views
        for part in ((view.error.parts if view.error is not None else ()) or view.findings.failed)
    )
