"""Images, values and names set in what is published: only what is named changes, every other byte stays.

An image is set in the containers of that name, wherever a resource has a list of containers; where no container has
the name, in those that use the image of that name. A value is set at its path in every document that has it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import dotted, globs, scalars, splicing, words
from undrift.model import delivery
from undrift.publishing import referring, tree

_LISTS: Final = ("containers", "initContainers", "ephemeralContainers")
_SERVICES: Final = "services"
EVERY: Final = frozenset({"", "*", "**"})
_MOST_NAMED: Final = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """A container that a document declares, at `path`; `title` is its resource for people."""

    page: tree.Page
    document: int
    path: tuple[str | int, ...]
    names: tuple[str, ...]
    image: str
    title: str
    origin: errors.Origin


def set_images(made: tree.Tree, images: Iterable[tuple[int, delivery.Image]]) -> list[errors.UndriftError]:
    """Set images (with their numbers in the document) in place. Returns what is wrong: `ContainerUnknown`, `RenderFailed`."""
    wrong: list[errors.UndriftError] = []
    for index, image in images:
        found = list(containers(made))
        named = [one for one in found if image.name in one.names]
        named = named or [one for one in found if referring.parse(one.image).name == image.name]
        if not named:
            wrong.append(_no_container(f"images[{index}]", image, found))
        wrong += _edit(
            f"images[{index}]",
            [
                (
                    one.page,
                    splicing.Edit(one.document, (*one.path, "image"), referring.replaced(one.image, image)),
                )
                for one in named
            ],
        )
    return wrong


def containers(made: tree.Tree) -> Iterator[Container]:
    """Every container of every document that names an image."""
    for page, index, data, place in made.documents():
        if not isinstance(data, Mapping) or data.get("kind") == "CustomResourceDefinition":
            continue
        for path, names, image in (*_containers(data, ()), *_services(data)):
            yield Container(page, index, path, names, image, _title(data, page), place.of(*path))


def set_values(made: tree.Tree, values: Iterable[tuple[int, delivery.Value]]) -> list[errors.UndriftError]:
    """Set values (with their numbers) in place. Returns what is wrong: `ValueUnknown`, `RenderFailed`."""
    wrong: list[errors.UndriftError] = []
    for index, value in values:
        try:
            wrong += _edit(f"set[{index}]", list(_value(made, value, f"set[{index}]")))
        except errors.UndriftError as error:
            wrong.append(error)
    return wrong


def rename(
    made: tree.Tree, keys: Sequence[str], names: Mapping[str, str], namespace: str
) -> list[errors.UndriftError]:
    """Change references: a mapping under one of `keys` whose `name` is in `names` gets the new one.

    Resources that say to be in another namespace than `namespace` mean others.
    """
    edits: list[tuple[tree.Page, splicing.Edit]] = []
    for page, index, data, _ in made.documents():
        metadata = data.get("metadata") if isinstance(data, Mapping) else None
        inside = metadata.get("namespace") if isinstance(metadata, Mapping) else None
        if inside and namespace and inside != namespace:
            continue
        for path in _references(data, keys, ()):
            name = splicing.find(data, path)[1]
            if isinstance(name, str) and names.get(name, name) != name:
                edits.append((page, splicing.Edit(index, path, names[name])))
    return _edit("configMapGenerator", edits)


def _edit(label: str, edits: Sequence[tuple[tree.Page, splicing.Edit]]) -> list[errors.UndriftError]:
    """Make edits page by page; what cannot be made is told."""
    wrong: list[errors.UndriftError] = []
    pages = {page.name: page for page, _ in edits}
    for name, page in pages.items():
        mine = [edit for each, edit in edits if each is page]
        try:
            page.change(mine)
        except splicing.SpliceError as error:
            wrong.append(
                errors.RenderFailed(
                    f"{label} cannot be set in {name}",
                    origin=page.places[mine[0].document].of(*mine[0].path),
                    why=str(error),
                    hint="write it there by hand, or in another way",
                )
            )
    return wrong


def _containers(
    data: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...], str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in _LISTS and isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, Mapping) and isinstance(one.get("image"), str) and "name" in one:
                        yield (*path, key, index), (str(one["name"]),), one["image"]
            yield from _containers(value, (*path, key))
    elif isinstance(data, list):
        for index, one in enumerate(data):
            yield from _containers(one, (*path, index))


def _services(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...], str]]:
    """The services of a Compose file."""
    services = data.get(_SERVICES)
    if not isinstance(services, Mapping) or "apiVersion" in data:
        return
    for name, one in services.items():
        if isinstance(one, Mapping) and isinstance(one.get("image"), str):
            yield (_SERVICES, str(name)), (str(name), str(one.get("container_name") or name)), one["image"]


def _title(data: Mapping[str, Any], page: tree.Page) -> str:
    metadata = data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{data.get('kind')}/{name or ''}" if data.get("kind") else page.name


def _no_container(label: str, image: delivery.Image, found: Sequence[Container]) -> errors.ContainerUnknown:
    names = [name for one in found for name in one.names]
    near = words.nearest(image.name, names)
    listed = ", ".join(dict.fromkeys(names))
    titles = list(dict.fromkeys(one.title for one in found))
    more = " …" if len(titles) > _MOST_NAMED else ""
    inside = f" in {', '.join(titles[:_MOST_NAMED])}{more}" if titles else ""
    at = next((one for one in found if near in one.names), found[0] if found else None)
    return errors.ContainerUnknown(
        f'{label}: no container "{image.name}"{inside}',
        origin=at.origin if at is not None else image.origin,
        why=f"declared at {image.origin}" if image.origin and at is not None else "",
        hint=f"{f'did you mean {near}? ' if near else ''}containers: {listed}"
        if listed
        else "nothing here has containers: set it by its path, with set",
    )


def _value(made: tree.Tree, value: delivery.Value, label: str) -> Iterator[tuple[tree.Page, splicing.Edit]]:
    """The edits that set a value. Raises `ValueUnknown`."""
    try:
        steps = dotted.parse(value.path)
    except ValueError as error:
        raise errors.ValueUnknown(
            f'{label} "{value.path}" is no path', origin=value.origin, why=str(error)
        ) from None
    meant = [one for one in made.documents() if isinstance(one[2], Mapping | list) and _is_meant(one, value)]
    found = [(one, dotted.resolve(one[2], steps)) for one in meant]
    whole = [(one, path) for one, path in found if len(path) == len(steps)]
    for (page, index, data, _), path in whole:
        yield page, splicing.Edit(index, path, scalars.like(splicing.find(data, path)[1], value.value))
    if whole:
        return
    if value.file in EVERY and value.resource in EVERY:
        # Where most of the path is there already is where it is meant, if that is one place.
        deepest = max((len(path) for _, path in found), default=0)
        found = [each for each in found if len(each[1]) == deepest]
        if value.create and len(found) > 1:
            raise _no_path(label, value, [one[2] for one, _ in found], several=True)
    if not value.create or not found:
        raise _no_path(label, value, [one[2] for one in meant], several=False)
    for (page, index, _, _), path in found:
        rest = steps[len(path) :]
        if any(not isinstance(step, str) for step in rest):
            raise _no_path(label, value, [one[2] for one in meant], several=False)
        yield page, splicing.Edit(index, (*path, *(str(step) for step in rest)), value.value, create=True)


def _is_meant(one: tuple[tree.Page, int, Any, tree.Place], value: delivery.Value) -> bool:
    page, _, data, _ = one
    if value.file not in EVERY:
        base = page.name.rpartition("/")[2]
        if not globs.matches(page.name, [value.file]) and not globs.matches(base, [value.file]):
            return False
    if value.resource in EVERY:
        return True
    return isinstance(data, Mapping) and globs.matches(_title(data, page), [value.resource])


def _no_path(
    label: str, value: delivery.Value, among: Sequence[Any], *, several: bool
) -> errors.ValueUnknown:
    if several:
        return errors.ValueUnknown(
            f'{label} "{value.path}" could be created in {len(among)} places',
            origin=value.origin,
            hint="say which with resource: kind/name, or file",
        )
    near = words.nearest(
        value.path, dict.fromkeys(dotted.write(path) for one in among for path in dotted.leaves(one))
    )
    where = f" of {value.resource}" if value.resource not in EVERY else ""
    where += f" in {value.file}" if value.file not in EVERY else ""
    nearest = f"nearest: {near}; " if near else ""
    return errors.ValueUnknown(
        f'{label} "{value.path}" is not in the manifests{where}',
        origin=value.origin,
        why="" if among else "no document is meant by resource and file",
        hint=f"{nearest}add create: true to create it",
    )


def _references(
    data: Any, keys: Sequence[str], path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in keys and isinstance(value, Mapping) and "name" in value:
                yield (*path, key, "name")
            yield from _references(value, keys, (*path, key))
    elif isinstance(data, list):
        for index, one in enumerate(data):
            yield from _references(one, keys, (*path, index))
