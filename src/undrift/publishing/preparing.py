"""From a checkout to stages that are rendered and validated: nothing is pushed, and nothing but Git is asked.

`publish`, `validate`, `render`, `comment` and `preview` all begin here, so what one shows is what another does.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from undrift import errors, plugins
from undrift.config import delivering, staging
from undrift.lib import words
from undrift.model import delivery, publication, source
from undrift.publishing import messages, rendering
from undrift.sources import directory
from undrift.sources.git import checkout

if TYPE_CHECKING:
    from undrift import interfaces

_SHA: Final = re.compile(r"[0-9a-f]{7,64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for. `folder` is (in) a checkout; `config` is the file in it ("": it is looked for).

    `revision` is a commit by any name of Git's, "" is the work tree as it is. `images` and `values` are by name, over
    what the file says; `stages` are names, none is all. `sequence` is the number of the build (0: none).
    `lenient` is for whoever renders nothing: variables need no values then.
    """

    folder: pathlib.Path
    config: str = ""
    application: str = ""
    stages: tuple[str, ...] = ()
    revision: str = "HEAD"
    images: Mapping[str, str] = dataclasses.field(default_factory=dict)
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    variables: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(os.environ), repr=False)
    sequence: int = 0
    lenient: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A delivery that was read, and where its files come from. `history` is None where there is no Git.

    `variables` are those of CI that the file took.
    """

    request: Request
    declared: delivery.Delivery
    stages: tuple[delivery.Stage, ...]
    variables: Mapping[str, str]
    place: interfaces.Source = dataclasses.field(repr=False)
    named: source.Revision
    revision: publication.AppRevision
    history: checkout.Checkout | None = dataclasses.field(default=None, repr=False)
    known: Mapping[str, publication.Provenance] = dataclasses.field(default_factory=dict)

    def provenance(self, stage: str) -> publication.Provenance:
        """What a published folder will say of itself: what is `known` beforehand, or that it comes from here now."""
        if stage in self.known:
            return self.known[stage]
        return publication.Provenance(
            self.declared.application,
            stage,
            self.revision,
            "",
            self.variables,
            self.request.images,
            self.request.values,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """All stages rendered and validated."""

    opened: Opened
    renditions: tuple[publication.Rendition, ...]
    findings: publication.Findings = dataclasses.field(default_factory=publication.Findings)


async def open_delivery(request: Request) -> Opened:
    """Find and read the delivery. Raises `DeliveryMissing`, `UsageInvalid`, and what is wrong with the file."""
    place = await _open_place(request)
    found = delivering.choose(place.read, place.file, request.application)
    return place.opened(request, found)


async def open_train(request: Request) -> list[Opened]:
    """All deliveries of the file that are on one train; that of `request.application`, or the only one there is.

    Raises as `open_delivery`.
    """
    place = await _open_place(request)
    trains = {
        one.delivery.train for one in place.read if request.application in ("", one.delivery.application)
    }
    trains.discard("")
    if len(trains) != 1:
        raise errors.DeliveryMissing(
            f"{place.file} has {'no train' if not trains else 'several trains'}",
            hint="say train: NAME in each Delivery that goes along, and name one of them with --application",
        )
    return [place.opened(request, one) for one in place.read if one.delivery.train in trains]


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """A checkout or folder, and the deliveries that a file in it declares."""

    place: interfaces.Source
    named: source.Revision
    revision: publication.AppRevision
    history: checkout.Checkout | None
    file: str
    read: list[delivering.Read]

    def opened(self, request: Request, found: delivering.Read) -> Opened:
        """One of the deliveries."""
        issues = messages.issues(self.revision.message, found.delivery.commit.issues)
        return Opened(
            request,
            found.delivery,
            _chosen(found.delivery, request.stages),
            found.variables,
            self.place,
            self.named,
            dataclasses.replace(self.revision, references=issues),
            self.history,
        )


async def _open_place(request: Request) -> _Place:
    history = await _checkout(request)
    root = history.root if history is not None else request.folder.resolve()
    inside = _inside(root, request.folder)
    if history is None or not request.revision:
        place: interfaces.Source = directory.DirectorySource(root)
        revision = publication.AppRevision("0" * 40, root.name)
    else:
        revision = await history.revision(request.revision, sequence=request.sequence)
        place = history.at(revision.sha)
    named = await place.resolve()
    file, content = await _find(place, named, request.config, inside)
    given = staging.Given(request.variables, request.images, request.values, request.lenient)
    return _Place(place, named, revision, history, file, delivering.read(content, file, given))


async def prepare(request: Request, *, check: bool = True) -> Prepared:
    """Render, and validate unless `check` is False. Raises all that is wrong with any stage, at once."""
    opened = await open_delivery(request)
    return await complete(opened, check=check)


async def complete(opened: Opened, *, check: bool = True) -> Prepared:
    """As `prepare`, for a delivery that was read already. Findings are returned, not raised."""
    registry = plugins.Registry(None)
    renditions = await rendering.render_all(
        opened.declared, opened.stages, opened.place, opened.named, registry
    )
    if not check:
        return Prepared(opened, renditions)
    from undrift.publishing import validating  # noqa: PLC0415 - not for whoever only renders

    root = opened.history.root if opened.history is not None else opened.request.folder
    found = await validating.validate(
        opened.declared, renditions, today=datetime.datetime.now(datetime.UTC).date(), folder=root
    )
    return Prepared(opened, renditions, found)


async def _checkout(request: Request) -> checkout.Checkout | None:
    """The checkout of Git; a folder that is none is fine where the work tree is meant."""
    if not request.folder.is_dir():
        raise errors.UsageInvalid(
            f"{request.folder} is no folder", hint="name the folder of a checkout with -C"
        )
    try:
        return await checkout.Checkout.find(request.folder)
    except errors.UsageInvalid:
        if request.revision:
            raise
        return None


def _inside(root: pathlib.Path, folder: pathlib.Path) -> str:
    """The folder's path from the root of the checkout."""
    path = folder.resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else "."


async def _find(
    place: interfaces.Source, named: source.Revision, config: str, inside: str
) -> tuple[str, bytes]:
    """The file that declares the delivery: as named, or in the folder or the nearest above that has one."""
    if config:
        names = [config]
    else:
        above = [inside, *(parent.as_posix() for parent in pathlib.PurePosixPath(inside).parents)]
        names = [
            name if folder == "." else f"{folder}/{name}" for folder in above for name in delivering.NAMES
        ]
    for name in dict.fromkeys(names):
        if await place.digests(named, [name]):
            artifact = await place.fetch(named, name)
            return name, next(iter(artifact.files.values())).content
    if config:
        raise errors.DeliveryMissing(f"there is no file {config}", hint="correct --config, or commit it")
    raise errors.DeliveryMissing(
        f"there is no {delivering.NAMES[0]} in {inside} or above",
        why="it says what is rendered and where it goes" if inside else "",
        hint="make one with: undrift init",
    )


def _chosen(declared: delivery.Delivery, names: Sequence[str]) -> tuple[delivery.Stage, ...]:
    known = [stage.name for stage in declared.stages]
    wrong: list[errors.UndriftError] = [
        errors.StageMissing(
            f"{declared.application} has no stage {name}",
            origin=errors.Origin(declared.file),
            hint=words.suggestion(name, known),
        )
        for name in names
        if name not in known
    ]
    if wrong:
        raise errors.gather(wrong)
    return tuple(stage for stage in declared.stages if not names or stage.name in names)
