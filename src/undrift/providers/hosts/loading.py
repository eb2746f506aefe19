"""What the parts of loading share: resources and errors found so far, and adding one to them."""

from __future__ import annotations

import dataclasses
import functools
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.model import resource
from undrift.providers.hosts import content, documents, explaining, kinds, settings, templates


@dataclasses.dataclass(frozen=True, slots=True)
class Pending:
    """Edges as they were written, to be resolved when everything is known: `field` says where."""

    of: resource.ResourceId
    wanted: Sequence[str]
    field: str
    origin: errors.Origin


@dataclasses.dataclass(slots=True)
class Draft:
    """Everything found in an application's manifests so far."""

    place: settings.Settings
    library: content.Library
    found: dict[resource.ResourceId, resource.Resource] = dataclasses.field(default_factory=dict)
    wrong: list[errors.UndriftError] = dataclasses.field(default_factory=list)
    edges: list[Pending] = dataclasses.field(default_factory=list)

    def add(self, one: resource.Resource, item: documents.Item) -> None:
        """Take a resource in, completed by what every item may say. Raises `ResourceTwice`, `ResourceInvalid`."""
        origin = one.origin or errors.Origin("")
        self._check(one, origin)
        moved = _moved(one.id, item.moved_from) if one.moved_from is None else one.moved_from
        self.found[one.id] = dataclasses.replace(
            one,
            wave=item.wave,
            excludes=rivals(one.id),
            moved_from=moved,
            protected=item.protected,
            adopt=item.adopt,
        )
        if item.depends_on:
            self.edges.append(Pending(one.id, item.depends_on, "dependsOn", origin))

    def _check(self, one: resource.Resource, origin: errors.Origin) -> None:
        path = kinds.path_of(one.id)
        if not is_text(one.id.name) or not is_text(str(one.fields.get("to", ""))):
            raise errors.ResourceInvalid(
                f"{one.id.name!r} cannot be declared", origin=origin, why="its name is not UTF-8"
            )
        if path and (self.place.is_state(path) or path == "/"):
            raise errors.ResourceInvalid(
                f"{one.id} cannot be declared",
                origin=origin,
                why="Undrift keeps its own records there" if path != "/" else "it is the root of the target",
            )
        same = (one.id,) if one.id.kind not in kinds.AT_PATHS else _at(path)
        for other in same:
            first = self.found.get(other)
            if first is not None:
                raise errors.ResourceTwice(
                    f"{one.id.name} is declared twice",
                    origin=origin,
                    why=f"it is {other} at {first.origin}",
                    hint="keep one of the two",
                )


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One manifest while it is read: its document, its variables and the draft it adds to."""

    draft: Draft
    document: interfaces.Document
    variables: Mapping[str, Any]

    @property
    def hidden(self) -> bool:
        """Whether the manifest was encrypted in Git."""
        return self.document.secret

    def origin(self, location: explaining.Location) -> errors.Origin:
        """Where a part of the manifest is declared."""
        return explaining.origin(self.document, location)

    def fill(self, text: str, origin: errors.Origin) -> str:
        """A text of the manifest itself with its expressions filled in."""
        return templates.fill(text, self.variables, origin)


def is_text(text: str) -> bool:
    """Whether it has a form in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _at(path: str) -> tuple[resource.ResourceId, ...]:
    return tuple(resource.ResourceId.of(kind, path) for kind in sorted(kinds.AT_PATHS))


def rivals(rid: resource.ResourceId) -> tuple[resource.ResourceId, ...]:
    """What cannot exist beside a resource: another kind at its path, or anything but folders on the way there."""
    path = kinds.path_of(rid)
    if not path:
        return ()
    above = _on_the_way(posixpath.dirname(path))
    if rid.kind not in kinds.AT_PATHS:
        return above
    return (*(other for other in _at(path) if other != rid), *above)


@functools.lru_cache(4096)
def _on_the_way(folder: str) -> tuple[resource.ResourceId, ...]:
    if folder == "/":
        return ()
    own = tuple(resource.ResourceId.of(kind, folder) for kind in (kinds.FILE, kinds.LINK))
    return (*own, *_on_the_way(posixpath.dirname(folder)))


def _moved(rid: resource.ResourceId, written: str | None) -> resource.ResourceId | None:
    if not written:
        return None
    if rid.kind in kinds.AT_PATHS:
        return resource.ResourceId.of(rid.kind, "/" + posixpath.normpath(written).lstrip("/"))
    if rid.kind in {kinds.BLOCK, kinds.LINE} and "#" not in written:
        return resource.ResourceId.of(rid.kind, f"{kinds.path_of(rid)}#{written}")
    return resource.ResourceId.of(rid.kind, written)
