"""One thing in a target: as it is declared, and as it is."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

from undrift import errors
from undrift.model import health, inventory
from undrift.model.identity import ResourceId

__all__ = [
    "DesiredState",
    "Farewell",
    "Fields",
    "LiveResource",
    "LiveState",
    "Resource",
    "ResourceId",
    "Unknown",
]

Fields = Mapping[str, Any]
"""What is compared of a resource: field name → JSON-like value, `Secret` or `Unknown`."""

EMPTY: Fields = {}
_NO_WRITERS: Mapping[str, tuple[tuple[str, ...], ...]] = {}
_NO_LINES: Mapping[str, tuple[int, int]] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A desired value that will be known only once an earlier change was made; `source` says which."""

    source: str

    def __str__(self) -> str:
        return f"(known after {self.source})"


class Farewell(enum.StrEnum):
    """When a resource is made that exists only for the end of its application: before the others go, or after."""

    BEFORE = "before"
    AFTER = "after"


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it is declared.

    `depends_on` are edges: what must be there before. `excludes` cannot exist beside it (a file where a
    folder was): their deletes come first. `moved_from` is its id before it was renamed. `protected`
    resources are never pruned unless Git says so; with `renew` one is made anew instead of changed. One that
    `vanishes` goes away by itself when it is done, and is not made again while its declaration is the same. `settings` are for the provider alone (what is needed
    to apply and never compared). `lines` says where in its file a field stands, for fields that findings are
    about: path as plans write it → line and column. `left` are paths that were declared and are left to others.
    A `farewell` is made when the application is decommissioned, and not before.
    """

    id: ResourceId
    fields: Fields
    origin: errors.Origin | None = None
    wave: int = 0
    depends_on: tuple[ResourceId, ...] = ()
    excludes: tuple[ResourceId, ...] = ()
    moved_from: ResourceId | None = None
    protected: bool = False
    adopt: bool = False
    renew: bool = False
    vanishes: bool = False
    settings: Fields = dataclasses.field(default_factory=lambda: EMPTY)
    lines: Mapping[str, tuple[int, int]] = dataclasses.field(
        default_factory=lambda: _NO_LINES, repr=False, compare=False
    )
    left: tuple[tuple[str, ...], ...] = ()
    farewell: Farewell | None = None

    def place(self, field: str) -> errors.Origin | None:
        """Where a field is declared, or the nearest thing around it whose place is known."""
        while field and field not in self.lines:
            field = field.rpartition(".")[0]
        if not field or self.origin is None:
            return self.origin
        return errors.Origin(self.origin.file, *self.lines[field])


@dataclasses.dataclass(frozen=True, slots=True)
class LiveResource:
    """A resource as it is on the target.

    `fields` hold what a declaration could compare with, in the same form. `mark` is the ownership mark
    found on (or for) it. `managers` are other writers seen on it. `depends_on` orders deletes. `writers` says
    which field paths others wrote, by writer, where the target knows and it matters.
    """

    id: ResourceId
    fields: Fields
    mark: inventory.Mark | None = None
    health: health.Health = health.HEALTHY
    uid: str = ""
    depends_on: tuple[ResourceId, ...] = ()
    managers: tuple[str, ...] = ()
    writers: Mapping[str, tuple[tuple[str, ...], ...]] = dataclasses.field(
        default_factory=lambda: _NO_WRITERS
    )


@dataclasses.dataclass(frozen=True, slots=True)
class DesiredState:
    """What should be: every declared resource by its id, and what was noticed on the way (never fatal).

    `farewells` are not among the resources: they are for the day on which the application is decommissioned.
    """

    resources: Mapping[ResourceId, Resource]
    warnings: tuple[errors.UndriftError, ...] = ()
    farewells: Mapping[ResourceId, Resource] = dataclasses.field(default_factory=lambda: _NO_FAREWELLS)


@dataclasses.dataclass(frozen=True, slots=True)
class LiveState:
    """What is: the asked-for resources that exist, and all that bear the application's mark.

    An id that was asked for and is missing here does not exist; a provider that could not look raises. `untold` says
    that the target, though it can be watched, will not tell when some of this changes. `marks` are those that speak
    for a whole part of the target (`Marks.TARGET`): each names that part and the revision that was applied there.
    """

    resources: Mapping[ResourceId, LiveResource]
    untold: bool = False
    marks: tuple[inventory.Mark, ...] = ()


_NO_FAREWELLS: Mapping[ResourceId, Resource] = {}
NOTHING_DESIRED = DesiredState({})
NOTHING_LIVE = LiveState({})
