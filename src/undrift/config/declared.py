"""One document as it was found: its model, its place in Git, and what names its content."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Generic, Protocol, TypeVar

from undrift import errors
from undrift.config import part
from undrift.lib import yaml
from undrift.model import application

Errors = tuple[errors.UndriftError, ...]
Location = tuple[str | int, ...]
"""A path of keys and indexes within a document."""


class Places(Protocol):
    """Where in Git the parts of a document are. A part that is not there has the place of the nearest above."""

    def of(self, path: Location) -> errors.Origin:
        """The place of a part: of its key, or of an entry of a list."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FilePlaces:
    """The places of one document of a file; `before` is how many lines stand before what was parsed.

    `traps` are plain words in it that do not mean what they look like.
    """

    file: str
    positions: Mapping[Location, tuple[int, int]]
    before: int = 0
    traps: tuple[yaml.Trap, ...] = ()

    def of(self, path: Location) -> errors.Origin:
        """See `Places`."""
        line, column = yaml.nearest(self.positions, path)
        return errors.Origin(self.file, line + self.before if line else 0, column)


@dataclasses.dataclass(frozen=True, slots=True)
class Below:
    """The places of a document that is part of another: the template of a generator."""

    places: Places
    above: Location

    def of(self, path: Location) -> errors.Origin:
        """See `Places`."""
        return self.places.of((*self.above, *path))


D_co = TypeVar("D_co", bound=part.Document, covariant=True)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Declared(Generic[D_co]):
    """A valid document and its kind and name (`key`). `digest` names its content; `generator` is the generator
    that made it, `policy` the deletion policy of that one and `rollout` the order that it gives.
    """

    key: tuple[str, str]
    document: D_co
    origin: errors.Origin
    places: Places
    digest: str
    generator: str = ""
    policy: str | None = None
    rollout: application.Rollout | None = None

    @property
    def name(self) -> str:
        """The name it is declared by."""
        return self.key[1]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Spoiled:
    """A document that has a kind and a name, and errors. `mentions` are all words in it."""

    kind: str
    name: str
    origin: errors.Origin
    errors: Errors
    mentions: frozenset[str] = frozenset()


def words_in(data: Any) -> Iterator[str]:
    """Every text in JSON-like data, keys left out."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from words_in(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from words_in(value)
