"""Files of other sources that an application reads beside its own: `{source: NAME, path: PATH}` in its settings.

Among paths of its own source such a place is spelled `source:NAME:PATH`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_PREFIX: Final = "source:"
_KEYS: Final = frozenset({"source", "path"})


def spell(place: Mapping[str, Any]) -> str:
    """How a place is spelled among paths; "" where it is none."""
    if place.keys() != _KEYS or not all(isinstance(value, str) and value for value in place.values()):
        return ""
    return f"{_PREFIX}{place['source']}:{place['path']}"


def read(path: str) -> tuple[str, str] | None:
    """The source and the path in it that are spelled here; None for a path of the own source."""
    name, colon, rest = path.removeprefix(_PREFIX).partition(":")
    return (name, rest) if path.startswith(_PREFIX) and colon else None


def sources(settings: Any) -> frozenset[str]:
    """The names of the other sources that a renderer's settings name, at any depth."""
    return frozenset(_sources(settings))


def _sources(settings: Any) -> Iterator[str]:
    if isinstance(settings, Mapping):
        found = read(spell(settings))
        if found is not None:
            yield found[0]
        for value in settings.values():
            yield from _sources(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _sources(value)
