"""Where the elements of an ApplicationGenerator come from: lists, folders, data files, and two of them crossed."""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from undrift import errors
from undrift.config import declared, documents, generation, part
from undrift.lib import globs
from undrift.model import source

MOST: Final = 10_000
"""How many elements one generator may have."""


class Directories(Protocol):
    """Reads what generators look at outside the path of the configuration."""

    async def fetch(self, name: str, path: str) -> source.Artifact:
        """The files of a path of the source `name` ("config": the config repository at the same revision).

        Raises a `SourceError`. Callers may ask for the same again at each commit: keep what did not change.
        """
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Element:
    """The values that a template is filled in with, and what the element is called for people."""

    values: Mapping[str, Any]
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What generators may look at: the config artifact (`own`), everything else, and who reads data files.

    `targets` are those that are declared, whole.
    """

    own: source.Artifact
    directories: Directories | None
    parse: DataParser
    targets: Collection[declared.Declared[documents.Target]] = ()


class DataParser(Protocol):
    """Reads a data file."""

    def __call__(self, content: bytes, file: str) -> Any:
        """The data of the only document of a YAML or JSON file. Raises `ConfigUnreadable`."""
        ...


def sources(generator: generation.ApplicationGenerator) -> Iterator[str]:
    """The names of the sources that a generator looks into."""
    for outer in generator.spec.generators:
        for each in (outer, *(outer.matrix or ())):
            yield from (one.source for one in (each.directories, each.files) if one is not None)


def selects(generator: generation.ApplicationGenerator) -> bool:
    """Whether a generator looks at the targets."""
    return any(
        each.targets is not None
        for outer in generator.spec.generators
        for each in (outer, *(outer.matrix or ()))
    )


async def find(
    generator: declared.Declared[generation.ApplicationGenerator], around: Surroundings
) -> tuple[Element, ...]:
    """All elements. Raises a `ConfigError` or `SourceError`: then nobody knows what is generated."""
    found: list[Element] = []
    for number, each in enumerate(generator.document.spec.generators):
        place: declared.Location = ("spec", "generators", number)
        if each.matrix is None:
            found += await _simple(generator, each, place, around)
        else:
            first, second = [
                await _simple(generator, inner, (*place, "matrix", which), around)
                for which, inner in enumerate(each.matrix)
            ]
            if len(first) * len(second) > MOST:
                raise _too_many(generator, place)
            found += [_cross(one, other) for one, other in itertools.product(first, second)]
        if len(found) > MOST:
            raise _too_many(generator, place)
    return tuple(found)


def _too_many(generator: declared.Declared[Any], place: declared.Location) -> errors.ConfigInvalid:
    return errors.ConfigInvalid(
        f"generator {generator.name} has more than {MOST} elements",
        origin=generator.places.of(place),
        hint="split it, or make its glob narrower",
    )


def _cross(one: Element, other: Element) -> Element:
    """Both merged; a key that both have with different values is left out, `matrix[0]` and `matrix[1]` tell."""
    merged = {**one.values, **other.values}
    for key in one.values.keys() & other.values.keys():
        if one.values[key] != other.values[key]:
            del merged[key]
    return Element(
        {**merged, "matrix": [dict(one.values), dict(other.values)]}, f"{one.label} + {other.label}"
    )


async def _simple(
    generator: declared.Declared[generation.ApplicationGenerator],
    each: generation.SimpleGeneratorPart,
    place: declared.Location,
    around: Surroundings,
) -> list[Element]:
    if each.list is not None:
        return [Element(values, f"list[{number}]") for number, values in enumerate(each.list)]
    if each.directories is not None:
        where = generator.places.of((*place, "directories", "path"))
        return list(_folders(each.directories, await _look(each.directories, around, where)))
    if each.files is not None:
        where = generator.places.of((*place, "files", "path"))
        return list(_data(each.files, await _look(each.files, around, where), around.parse))
    return list(_targets(each.targets, around.targets)) if each.targets is not None else []


def _targets(
    wanted: generation.TargetsPart, known: Collection[declared.Declared[documents.Target]]
) -> Iterator[Element]:
    for each in sorted(known, key=lambda one: one.name):
        spec, labels = each.document.spec, each.document.metadata.labels
        fits = all(
            globs.matches(labels[key], [glob]) if key in labels else False
            for key, glob in wanted.labels.items()
        )
        inside = not wanted.groups or not set(wanted.groups).isdisjoint(spec.groups)
        if fits and inside and globs.matches(each.name, wanted.names):
            values = {
                "name": each.name,
                "provider": spec.provider,
                "groups": list(spec.groups),
                "labels": dict(labels),
            }
            yield Element(values, f"Target {each.name}")


async def _look(
    wanted: generation.DirectoriesPart | generation.FilesPart, around: Surroundings, origin: errors.Origin
) -> Mapping[str, source.File]:
    """The files below the literal part of a glob, by their path from the root of the source."""
    base = globs.prefix(wanted.path)
    own = around.own.path
    inside = own in {".", base} or base.startswith(f"{own}/")
    if wanted.source == part.CONFIG_SOURCE and inside:
        return {
            posixpath.normpath(posixpath.join(own, name)): file for name, file in around.own.files.items()
        }
    if around.directories is None:
        raise errors.ConfigInvalid(
            f"{base} of source {wanted.source} cannot be looked at here",
            origin=origin,
            why="only the path of the configuration is known",
            hint="move the folders below it, or ask the agent",
        )
    try:
        found = await around.directories.fetch(wanted.source, base)
    except errors.UndriftError as error:
        error.origin = error.origin or origin
        raise
    return {posixpath.normpath(posixpath.join(found.path, name)): file for name, file in found.files.items()}


def _folders(wanted: generation.DirectoriesPart, files: Mapping[str, source.File]) -> Iterator[Element]:
    folders: set[str] = set()
    for name in files:
        folder = posixpath.dirname(name)
        while folder and folder not in folders:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    for folder in sorted(folders):
        if globs.matches(folder, [wanted.path]) and not globs.matches(folder, wanted.exclude):
            values = {"path": folder, "name": posixpath.basename(folder), "parts": folder.split("/")}
            yield Element(values, folder)


def _data(
    wanted: generation.FilesPart, files: Mapping[str, source.File], parse: DataParser
) -> Iterator[Element]:
    for name, file in sorted(files.items()):
        if file.kind is source.FileKind.LINK or not globs.matches(name, [wanted.path]):
            continue
        if globs.matches(name, wanted.exclude):
            continue
        stem = posixpath.splitext(posixpath.basename(name))[0]
        found = parse(file.content, name)
        for number, values in enumerate(_rows(found, name)):
            label = f"{name}[{number}]" if isinstance(found, list) else name
            yield Element({"path": name, "name": stem, **values}, label)


def _rows(found: Any, name: str) -> Sequence[Mapping[str, Any]]:
    rows = found if isinstance(found, list) else [found]
    if all(isinstance(row, Mapping) and all(isinstance(key, str) for key in row) for row in rows):
        return rows
    raise errors.ConfigInvalid(
        f"{name} is not a data file for a generator",
        origin=errors.Origin(name, 1, 1),
        why="its content is neither a mapping nor a list of mappings",
        hint="write `key: value` lines, or leave the file out with exclude",
    )
