"""From the application's repository only what a stage is rendered from; what is missing is told with what is there."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from undrift import errors, interfaces
from undrift.lib import globs, words
from undrift.model import delivery, source


@dataclasses.dataclass(frozen=True, slots=True)
class Pantry:
    """Where a stage's files come from; `label` is how people call the stage: `stages[1] "production"`."""

    place: interfaces.Source
    revision: source.Revision
    stage: delivery.Stage
    label: str

    async def fetch(self, path: str, *, field: str = "path") -> source.Artifact:
        """The files of one path, which is declared in a `field` of the stage, or of the whole (`source.helm.chart`).

        Raises `StageMissing` with what is there instead, and `SourceError`s.
        """
        checked = _inside(path, self.label, self.stage.origin)
        try:
            return await self.place.fetch(self.revision, checked)
        except errors.PathMissing:
            raise await self._missing(checked, field) from None

    async def find(self, paths: Iterable[str]) -> dict[str, source.File]:
        """The files below several paths, by their places in the source; what is missing is left out."""
        files: dict[str, source.File] = {}
        for path in sorted(set(paths)):
            try:
                artifact = await self.place.fetch(self.revision, path)
            except errors.PathMissing:
                continue
            files |= placed(artifact)
        return files

    async def present(self, folder: str) -> list[str]:
        """The names in a folder of the source; none where it is not there or cannot be read."""
        try:
            artifact = await self.place.fetch(self.revision, folder)
        except errors.SourceError:
            return []
        return sorted({name.partition("/")[0] for name in artifact.files} - {".git"})

    async def _missing(self, path: str, field: str) -> errors.StageMissing:
        """What is present is looked for in the nearest folder that there is."""
        parent = posixpath.dirname(path) or "."
        present = await self.present(parent)
        while not present and parent != ".":
            parent = posixpath.dirname(parent) or "."
            present = await self.present(parent)
        shown = [name for name in present if not name.startswith(".")]
        step = posixpath.relpath(path, parent).partition("/")[0]
        begins = [name for name in shown if step.startswith(name) or name.startswith(step)]
        near = words.nearest(step, shown) or (begins[0] if len(begins) == 1 else "")
        listed = f"present: {', '.join(shown)}; " if shown else ""
        rename = f"rename {near}" if near else "rename it"
        stage = "stages[]" if self.label.startswith("stage ") else self.label.partition(" ")[0]
        where = field if "." in field or "[" in field else f"{stage}.{field}"
        return errors.StageMissing(
            f"{self.label}: {path} not found",
            origin=self.stage.origin,
            why=f"there is no {step} in {parent}" if parent != "." else "",
            hint=f"{listed}{rename}, or set {where}",
        )


def placed(artifact: source.Artifact) -> dict[str, source.File]:
    """The files of an artifact by their places in the source."""
    if artifact.single:
        return {posixpath.normpath(artifact.path): next(iter(artifact.files.values()))}
    return {
        posixpath.normpath(posixpath.join(artifact.path, name)): file for name, file in artifact.files.items()
    }


async def around(
    renderer: interfaces.Renderer, artifact: source.Artifact, recipe: interfaces.Recipe, pantry: Pantry
) -> source.Artifact:
    """The artifact with what its renderer reads beside it, and beside that (see `engine.rendering`)."""
    found: dict[str, source.File] = {}
    seen = {posixpath.normpath(artifact.path)}
    todo = set() if renderer.self_contained else set(renderer.beside(artifact, recipe))
    while todo:
        path = todo.pop()
        if _covered(path, seen):
            continue
        seen.add(path)
        try:
            beside = await pantry.place.fetch(pantry.revision, path)
        except errors.PathMissing:
            continue
        found |= placed(beside)
        todo |= set(renderer.beside(beside, recipe))
    return dataclasses.replace(artifact, around=found)


def chosen(
    artifact: source.Artifact, settings: Mapping[str, Any], *, hidden: bool = False
) -> dict[str, source.File]:
    """The files that are published as they are: those that `include` and `exclude` leave.

    Without `include`, files and folders with a dot in front are not meant; with `hidden` only such folders are not.
    What is Git's own is never.
    """
    include, exclude = tuple(settings.get("include") or ()), tuple(settings.get("exclude") or ())
    files: dict[str, source.File] = {}
    for name in sorted(artifact.files):
        steps = name.split("/")
        dotted = any(step.startswith(".") for step in (steps[:-1] if hidden else steps))
        meant = globs.matches(name, include) if include else not dotted
        if meant and not globs.matches(name, exclude) and not any(is_gits(step) for step in steps):
            files[name] = artifact.files[name]
    return files


def is_gits(step: str) -> bool:
    """Whether a step of a path is one of Git's own: `.git`, `.gitignore`, also as other systems spell them."""
    return step.casefold().startswith((".git", "git~"))


def _covered(path: str, seen: Collection[str]) -> bool:
    return any(each in (path, ".") or path.startswith(f"{each}/") for each in seen)


def _inside(path: str, label: str, origin: errors.Origin | None) -> str:
    made = posixpath.normpath(path)
    if path.startswith("/") or made == ".." or made.startswith("../") or "\0" in path:
        raise errors.ArtifactRefused(
            f"{label}: {path} leads out of the source", origin=origin, hint="write a path below its root"
        )
    return made
