"""Stages that a tool renders: Kustomize, Helm and Jsonnet, by the agent's own renderers, one file per resource.

What cannot be published is refused here: everything that was made from something encrypted would be in plain.
"""

from __future__ import annotations

import dataclasses
import pathlib
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors, interfaces, plugins
from undrift.lib import canonical, yaml
from undrift.model import delivery, source, target
from undrift.publishing import charting, gathering, placing, tree
from undrift.publishing.schemas import release
from undrift.renderers import helm

_CHART: Final = "source.helm.chart"


def facts(stage: delivery.Stage) -> target.Facts:
    """What rendering may depend on: the declared version of Kubernetes, else the newest that this Undrift knows."""
    version = stage.kube_version or release.written(release.known()[-1])
    return target.Facts({"version": version}, canonical.digest([version]))


async def call(
    made: tree.Tree, pantry: gathering.Pantry, application: str, registry: plugins.Registry
) -> tree.Called:
    """Render a stage by its tool. Raises `RenderError`s, `StageMissing`, `SecretInPlain`."""
    stage = pantry.stage
    renderer = registry.renderer(stage.recipe.renderer)
    recipe = interfaces.Recipe(application, stage.namespace, stage.recipe.path, stage.recipe.settings)
    images, values = list(enumerate(stage.images)), list(enumerate(stage.values))
    if stage.recipe.renderer == "helm":
        artifact = await _chart(pantry, renderer, recipe)
        recipe, images, values = await _valued(pantry, renderer, artifact, recipe)
    else:
        artifact = await pantry.fetch(recipe.path)
        artifact = await gathering.around(renderer, artifact, recipe, pantry)
    artifact = _without_published(artifact, stage)
    rendered = await _rendered(renderer, artifact, recipe, stage)
    _take(made, rendered)
    return tree.Called(rendered.tools, images, values, rendered.warnings)


async def _rendered(
    renderer: interfaces.Renderer,
    artifact: source.Artifact,
    recipe: interfaces.Recipe,
    stage: delivery.Stage,
) -> interfaces.Rendered:
    try:
        rendered = await renderer.render(artifact, recipe, facts(stage))
    except errors.UndriftError as error:
        raise errors.gather([_sealed(one) for one in error.parts]) from error
    found: list[errors.UndriftError] = [
        _in_plain(_title(one.data), errors.Origin(one.file, *yaml.nearest(one.positions, ())))
        for one in rendered.documents
        if one.secret
    ]
    if found:
        raise errors.gather(found)
    return rendered


def _sealed(error: errors.UndriftError) -> errors.UndriftError:
    """What cannot be decrypted here must not be: it would be published in plain."""
    if not isinstance(error, errors.DecryptionFailed):
        return error
    return _in_plain(error.origin.file if error.origin is not None else "an encrypted file", error.origin)


def _in_plain(what: str, origin: errors.Origin | None) -> errors.SecretInPlain:
    return errors.SecretInPlain(
        f"{what} would be published in plain",
        origin=origin,
        why="it is made from something that is encrypted",
        hint="publish the encrypted file as it is: take it out of what is rendered and list it under resources",
    )


def _title(data: Any) -> str:
    metadata = data.get("metadata") if isinstance(data, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else ""
    return f"{data.get('kind')}/{name}" if isinstance(data, Mapping) else "a document"


def _take(made: tree.Tree, rendered: interfaces.Rendered) -> None:
    """One file per resource."""
    names = placing.names([one.data for one in rendered.documents])
    for name, one in zip(names, rendered.documents, strict=True):
        content = yaml.dump(one.data).encode()
        place = tree.Place(one.file, one.positions)
        made.add(tree.Page(name, source.File(content), one.file, [one.data], [place]))


def _without_published(artifact: source.Artifact, stage: delivery.Stage) -> source.Artifact:
    """An encrypted file that is published as it is (`resources`) is none of the tool's business."""
    listed = [posixpath.normpath(path) for path in stage.resources]

    def stays(path: str, file: source.File) -> bool:
        given = any(path == one or path.startswith(f"{one}/") for one in listed)
        return not (given and b"ENC[AES256_GCM" in file.content)

    own = {
        name: file
        for name, file in artifact.files.items()
        if stays(posixpath.normpath(posixpath.join(artifact.path, name)), file)
    }
    around = {path: file for path, file in artifact.around.items() if stays(path, file)}
    return dataclasses.replace(artifact, files=own, around=around)


async def _chart(
    pantry: gathering.Pantry, renderer: interfaces.Renderer, recipe: interfaces.Recipe
) -> source.Artifact:
    """The chart, the value files and the overlay of a stage, and nothing else of its path."""
    chosen = helm.choose(recipe.settings)
    named = [("valueFiles", name) for name in chosen.value_files]
    named += [] if chosen.repository else [(_CHART, chosen.chart)]
    named += [("source.helm.postRender", chosen.post_render)] if chosen.post_render else []
    found: dict[str, source.File] = {}
    wrong: list[errors.UndriftError] = []
    for field, name in named:
        path = posixpath.normpath(posixpath.join(recipe.path, name))
        try:
            part = await pantry.fetch(path, field=field)
            part = await gathering.around(renderer, part, recipe, pantry)
        except errors.UndriftError as error:
            wrong += error.parts
            continue
        found |= {**gathering.placed(part), **part.around}
        if field == _CHART and chosen.remote:
            found |= await pantry.find(_local_dependencies(part))
    if wrong:
        raise errors.gather(wrong)
    return source.Artifact(pantry.revision, recipe.path, "", {}, around=found)


def _local_dependencies(chart: source.Artifact) -> list[str]:
    """Charts beside this one that it takes in with `repository: file://../name`."""
    file = chart.files.get("Chart.yaml")
    try:
        data = yaml.documents(file.content)[0].data if file is not None else {}
        entries = [one.get("repository", "") for one in data.get("dependencies") or ()]
    except (yaml.YamlError, IndexError, AttributeError):
        return []
    paths = [
        posixpath.normpath(posixpath.join(chart.path, one.removeprefix("file://")))
        for one in entries
        if str(one).startswith("file://")
    ]
    return [path for path in paths if not path.startswith(("..", "/"))]


async def _valued(
    pantry: gathering.Pantry,
    renderer: interfaces.Renderer,
    artifact: source.Artifact,
    recipe: interfaces.Recipe,
) -> tuple[interfaces.Recipe, tree.Images, tree.Values]:
    """The recipe with what the stage sets in values; images and values that are meant for the output."""
    stage, chosen = pantry.stage, helm.choose(recipe.settings)
    numbered = list(enumerate(stage.values))
    if not stage.images and not stage.values:
        return recipe, [], []
    if chosen.repository:
        packed = await renderer.packed(chosen) if isinstance(renderer, helm.HelmRenderer) else pathlib.Path()
        below = charting.defaults(charting.unpacked(packed.read_bytes())) if packed.is_file() else {}
    else:
        files = {path: file.content for path, file in artifact.around.items()}
        below = charting.defaults(files, posixpath.normpath(posixpath.join(recipe.path, chosen.chart)))
    paths = [posixpath.join(recipe.path, name) for name in chosen.value_files]
    below = charting.read_values(artifact.around, paths, below)
    known = charting.merged(below, chosen.values)
    values = charting.Values(known, charting.merged({}, chosen.values))
    wrong = charting.set_values(values, [one for one in numbered if not charting.is_narrow(one[1])])
    images, more = charting.set_images(values, list(enumerate(stage.images)))
    if wrong or more:
        raise errors.gather([*wrong, *more])
    settings = {**recipe.settings, "values": values.given}
    left = [one for one in numbered if charting.is_narrow(one[1])]
    return dataclasses.replace(recipe, settings=settings), images, left
