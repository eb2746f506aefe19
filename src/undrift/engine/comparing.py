"""Field-by-field difference between what is declared and what is. Pure.

A declaration says what it says and nothing more: keys that only the live side has are no difference. Lists
are compared as wholes when their lengths differ, else item by item.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from undrift.model import application, plan, resource

_Path = tuple[str, ...]
_ABSENT = object()


def differences(
    desired: resource.Fields,
    live: resource.Fields,
    ignored: Sequence[_Path] = (),
) -> tuple[plan.FieldChange, ...]:
    """Every field of `desired` that `live` does not have with that value; `ignored` paths left out."""
    return () if desired == live else chosen(_walk(desired, live, ()), ignored)


def chosen(found: Iterable[plan.Difference], ignored: Sequence[_Path] = ()) -> tuple[plan.FieldChange, ...]:
    """Differences as field changes; `ignored` paths left out."""
    return tuple(
        plan.FieldChange(_dotted(path), before, after)
        for path, before, after in found
        if not any(_covers(pattern, path) for pattern in ignored)
    )


def ignored_paths(rules: Sequence[application.Ignore], rid: resource.ResourceId) -> tuple[_Path, ...]:
    """The field paths that the rules of a policy leave alone on one resource."""
    name = str(rid)
    return tuple(tuple(rule.path.split(".")) for rule in rules if fnmatch.fnmatchcase(name, rule.resources))


def matches(patterns: Sequence[str], rid: resource.ResourceId) -> bool:
    """Whether one of the globs matches the written form of an id."""
    return any(fnmatch.fnmatchcase(str(rid), pattern) for pattern in patterns)


def overlay(desired: resource.Fields, live: resource.Fields, ignored: Sequence[_Path]) -> resource.Fields:
    """`desired` with the ignored paths taken from `live`, for providers that write whole resources."""
    if not ignored:
        return desired
    merged = {key: _overlay(value, live.get(key, _ABSENT), ignored, (key,)) for key, value in desired.items()}
    return {key: value for key, value in merged.items() if value is not _ABSENT}


def without(desired: resource.Fields, ignored: Sequence[_Path]) -> resource.Fields:
    """`desired` with the ignored paths left out, for providers that write only what they are told."""
    return _without(desired, ignored, ()) if ignored else desired


def _without(desired: Any, ignored: Sequence[_Path], path: _Path) -> Any:
    if isinstance(desired, Mapping):
        return {
            key: _without(value, ignored, (*path, str(key)))
            for key, value in desired.items()
            if not any(_covers(pattern, (*path, str(key))) for pattern in ignored)
        }
    return desired


def _overlay(desired: Any, live: Any, ignored: Sequence[_Path], path: _Path) -> Any:
    if any(_covers(pattern, path) for pattern in ignored):
        return desired if live is _ABSENT else live
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return {
            key: _overlay(value, live.get(key, _ABSENT), ignored, (*path, str(key)))
            for key, value in desired.items()
        }
    return desired


def _walk(desired: Any, live: Any, path: _Path) -> Iterator[tuple[_Path, Any, Any]]:
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key, value in desired.items():
            found = live.get(key, _ABSENT)
            if found is _ABSENT and value is not None:
                yield (*path, str(key)), None, value
            elif found is not _ABSENT and found != value:
                yield from _walk(value, found, (*path, str(key)))
    elif _both_lists(desired, live) and len(desired) == len(live):
        for index, (value, found) in enumerate(zip(desired, live, strict=True)):
            if value != found:
                yield from _walk(value, found, (*path, str(index)))
    elif desired != live:
        yield path, live, desired


def _both_lists(one: Any, other: Any) -> bool:
    return isinstance(one, (list, tuple)) and isinstance(other, (list, tuple))


def _covers(pattern: _Path, path: _Path) -> bool:
    """Whether a path lies at or below what the pattern names."""
    if len(path) < len(pattern):
        return False
    return all(want in ("*", have) for want, have in zip(pattern, path, strict=False))


def _dotted(path: _Path) -> str:
    return ".".join(f'"{step}"' if "." in step else step for step in path)
