"""Manifests, any layer's own files, and extra resources: taken as they are, byte for byte."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from undrift import errors
from undrift.lib import globs
from undrift.model import source
from undrift.publishing import gathering, tree
from undrift.renderers import plain, substituting

FILES = "files"


async def take_source(made: tree.Tree, pantry: gathering.Pantry, own: str) -> None:
    """The files of the stage's path, but for the variables that it declares; `own` is the Delivery's file.

    Raises `RenderError`s and `SourceError`s, all at once.
    """
    recipe = pantry.stage.recipe
    variables = substituting.variables(recipe.settings)
    artifact = await pantry.fetch(recipe.path)
    files = gathering.chosen(artifact, recipe.settings, hidden=recipe.renderer == FILES)
    wrong: list[errors.UndriftError] = []
    for name, file in files.items():
        origin = _origin(artifact, name)
        if origin == posixpath.normpath(own):
            continue
        try:
            made.add(
                _page(name, _substituted(file, variables, origin), origin, strict=recipe.renderer != FILES)
            )
        except errors.UndriftError as error:
            wrong += error.parts
    if wrong:
        raise errors.gather(wrong)


async def take_resources(made: tree.Tree, pantry: gathering.Pantry) -> None:
    """The stage's extra manifests. Raises `StageMissing`, `RenderError`s, `SourceError`s, all at once."""
    wrong: list[errors.UndriftError] = []
    for path in pantry.stage.resources:
        try:
            artifact = await pantry.fetch(path, field="resources")
        except errors.UndriftError as error:
            wrong += error.parts
            continue
        for name, file in _manifests(artifact):
            try:
                made.add(tree.read(_free(made, name, artifact), file, _origin(artifact, name)))
            except errors.UndriftError as error:
                wrong += error.parts
    if wrong:
        raise errors.gather(wrong)


def _manifests(artifact: source.Artifact) -> Iterator[tuple[str, source.File]]:
    for name, file in gathering.chosen(artifact, {}).items():
        if artifact.single or (
            globs.matches(name, plain.MANIFESTS) and not globs.matches(name, plain.CONTENT)
        ):
            yield name, file


def _free(made: tree.Tree, name: str, artifact: source.Artifact) -> str:
    """The name of an extra manifest; one that is taken gets its folder put in front."""
    if name not in made.pages:
        return name
    folder = posixpath.dirname(artifact.path) if artifact.single else artifact.path
    front, base = posixpath.split(name)
    return posixpath.join(front, f"{posixpath.basename(posixpath.normpath(folder))}-{base}".lstrip(".-"))


def _origin(artifact: source.Artifact, name: str) -> str:
    return posixpath.normpath(artifact.path if artifact.single else posixpath.join(artifact.path, name))


def _page(name: str, file: source.File, origin: str, *, strict: bool) -> tree.Page:
    """A page that is read where it is a manifest. What another layer calls YAML may be a template."""
    if not tree.is_manifest(name):
        return tree.Page(name, file, origin)
    try:
        return tree.read(name, file, origin)
    except errors.RenderFailed:
        if strict:
            raise
        return tree.Page(name, file, origin)


def _substituted(file: source.File, variables: Mapping[str, str] | None, origin: str) -> source.File:
    """A text with its variables filled in; what SOPS encrypted is left, since its checksum covers every value."""
    sealed = b"ENC[AES256_GCM" in file.content and b"sops" in file.content
    if variables is None or file.kind is source.FileKind.LINK or sealed:
        return file
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return file
    return source.File(substituting.substitute(text, variables, origin).encode(), file.kind)
