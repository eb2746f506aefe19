"""Stages of a delivery → exact trees, the same on every machine: nothing is read but the source.

```
gathering   only the paths that a stage is made from
taking      manifests and files, byte for byte             calling  Kustomize, Helm, Jsonnet: one file per resource
generating  ConfigMaps of files, the stage's Namespace, its Application
editing     values, images, and the names of generated ConfigMaps are set in place
placing     names that are refused; resources that are there twice
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import undrift
from undrift import errors
from undrift.lib import dotted
from undrift.model import delivery, publication, source
from undrift.publishing import editing, gathering, generating, placing, taking, tree

if TYPE_CHECKING:
    from undrift import interfaces, plugins

AS_THEY_ARE: Final = frozenset({"manifests", "files"})
_RANDOM: Final = frozenset({"helm"})
"""Renderers whose programs can ask for something random."""
_RUN: Final = ("metadata", "annotations", "undrift.dev/run")


async def render_all(
    declared: delivery.Delivery,
    stages: Sequence[delivery.Stage],
    place: interfaces.Source,
    revision: source.Revision,
    registry: plugins.Registry,
) -> tuple[publication.Rendition, ...]:
    """Every stage, in order. Raises what is wrong with any of them, all at once."""
    jobs = [render(declared, stage, place, revision, registry) for stage in stages]
    made: list[publication.Rendition] = []
    wrong: dict[tuple[str, str], errors.UndriftError] = {}
    for one in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(one, errors.UndriftError):
            # What is wrong with the files of several stages is told once.
            wrong |= {
                (part.code, str(part)): part for part in one.parts if (part.code, str(part)) not in wrong
            }
        elif isinstance(one, BaseException):
            raise one
        else:
            made.append(one)
    if wrong:
        raise errors.gather(list(wrong.values()))
    return tuple(made)


async def render(
    declared: delivery.Delivery,
    stage: delivery.Stage,
    place: interfaces.Source,
    revision: source.Revision,
    registry: plugins.Registry,
) -> publication.Rendition:
    """One stage. Raises `StageMissing`, `SourceError`s, `RenderError`s and `ValidationError`s, all that are known at once."""
    pantry = gathering.Pantry(place, revision, stage, _label(declared, stage))
    try:
        return await _render(declared, pantry, registry)
    except errors.UndriftError as error:
        raise error.at(str(revision), revision.author) from error


async def check_repeatable(
    declared: delivery.Delivery,
    stages: Sequence[delivery.Stage],
    place: interfaces.Source,
    revision: source.Revision,
    registry: plugins.Registry,
) -> None:
    """Render stages twice, where that may come out differently.

    Raises a `RenderUnrepeatable` for each resource that does, naming it and the first field that differs.
    """
    wrong: list[errors.UndriftError] = []
    for stage in stages:
        if stage.recipe.renderer in _RANDOM:
            first, second = [await render(declared, stage, place, revision, registry) for _ in range(2)]
            wrong += _differences(first, second)
    if wrong:
        raise errors.gather([error.at(str(revision), revision.author) for error in wrong])


async def _render(
    declared: delivery.Delivery, pantry: gathering.Pantry, registry: plugins.Registry
) -> publication.Rendition:
    stage, made = pantry.stage, tree.Tree()
    called = tree.Called({}, list(enumerate(stage.images)), list(enumerate(stage.values)))
    wrong: list[errors.UndriftError] = []
    renamed: dict[str, str] = {}
    try:
        if stage.recipe.renderer in AS_THEY_ARE:
            await taking.take_source(made, pantry, declared.file)
        else:
            from undrift.publishing import calling  # noqa: PLC0415 - only where a tool renders

            called = await calling.call(made, pantry, declared.application, registry)
    except errors.UndriftError as error:
        # Without it nothing can be said of images and values, but of the rest.
        wrong += error.parts
        called = tree.Called({}, [], [])
    try:
        await taking.take_resources(made, pantry)
    except errors.UndriftError as error:
        wrong += error.parts
    try:
        renamed = await generating.config_maps(made, pantry)
    except errors.UndriftError as error:
        wrong += error.parts
    if not wrong:
        wrong += editing.set_values(made, called.values)
        wrong += editing.set_images(made, called.images)
        wrong += editing.rename(made, generating.CONFIG_MAP_KEYS, renamed, stage.namespace)
        wrong += _empty(made, pantry)
        generating.namespace(made, declared.application, stage)
        generating.application(made, declared.application, stage)
    files = {name: made.pages[name].file for name in sorted(made.pages)}
    resources = tuple(made.resources())
    wrong += placing.refused(files)
    wrong += placing.twice(resources, stage.namespace)
    if wrong:
        raise errors.gather(wrong)
    tools = {"undrift": undrift.__version__, **called.tools}
    return publication.Rendition(stage, files, resources, tools, called.warnings)


def _empty(made: tree.Tree, pantry: gathering.Pantry) -> Iterator[errors.RenderEmpty]:
    """A stage with nothing in it would take away all that runs there: that is said in Git, not by an accident."""
    stage = pantry.stage
    told = (
        made.pages
        if stage.recipe.renderer == taking.FILES
        else [data for *_, data, _ in made.documents() if data]
    )
    if not told and not stage.allow_empty:
        yield errors.RenderEmpty(
            f"{pantry.label} renders to nothing",
            origin=stage.origin,
            why=f"{stage.recipe.renderer} of {stage.recipe.path} gave {'no manifest' if made.pages else 'no file'}",
            hint="correct the source (path, include, exclude, conditions of a chart), or take the stage out of stages;"
            " where nothing is meant, say allowEmpty: true in the stage",
        )


def _label(declared: delivery.Delivery, stage: delivery.Stage) -> str:
    for index, one in enumerate(declared.stages):
        if one.name == stage.name:
            return f'stages[{index}] "{stage.name}"'
    return f'stage "{stage.name}"'


def _differences(
    first: publication.Rendition, second: publication.Rendition
) -> Iterator[errors.RenderUnrepeatable]:
    before = {(one.file, one.title): one for one in first.resources}
    after = {(one.file, one.title): one for one in second.resources}
    hint = "does the template ask for something random or for the time (randAlphaNum, genCA, now)? give it a value"
    for key in sorted(before.keys() | after.keys()):
        one = before.get(key) or after[key]
        if key not in before or key not in after:
            yield errors.RenderUnrepeatable(
                f"{first.stage.name} is not rendered twice alike: {one.title} is there once",
                origin=one.origin,
                hint=hint,
            )
            continue
        path = _difference(before[key].data, after[key].data)
        if path is not None:
            yield errors.RenderUnrepeatable(
                f"{first.stage.name} is not rendered twice alike: {one.title} {dotted.write(path)} differs",
                origin=one.where(*path),
                hint=hint,
            )


def _difference(one: Any, other: Any, path: tuple[str | int, ...] = ()) -> tuple[str | int, ...] | None:
    """The first field that differs; a hook's digest of everything else says nothing by itself."""
    if path == _RUN:
        return None
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        found = (_difference(one[key], other[key], (*path, str(key))) for key in one)
        return next((each for each in found if each is not None), None)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        found = (_difference(a, b, (*path, at)) for at, (a, b) in enumerate(zip(one, other, strict=True)))
        return next((each for each in found if each is not None), None)
    return None if one == other else path
