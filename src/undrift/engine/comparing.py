"""Field-by-field difference between what is declared and what is. Pure.

A declaration says what it says and nothing more: keys that only the live side has are no difference. Lists
are compared as wholes when their lengths differ, else item by item.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from undrift.lib import canonical, pointers
from undrift.model import application, plan, resource, secret

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
        if not any(covers(pattern, path) for pattern in ignored)
    )


def concealed(
    found: Sequence[plan.Difference], wanted: resource.Fields, live: resource.Fields
) -> tuple[plan.Difference, ...]:
    """Differences that a target told, with those of secret fields as secrets: it knows nothing of ours."""
    return tuple(
        (path, _hide(before), _hide(after)) if _leads(wanted, path) or _leads(live, path) else one
        for one in found
        for path, before, after in [one]
    )


def _leads(value: Any, path: _Path) -> bool:
    """Whether there is a secret on the way, or anywhere below its end."""
    if isinstance(value, secret.Secret):
        return True
    if isinstance(value, Mapping):
        below = [value.get(path[0])] if path else list(value.values())
        return any(_leads(item, path[1:]) for item in below)
    if isinstance(value, list | tuple):
        return any(_leads(item, path[1:]) for item in value)
    return False


def _hide(value: Any) -> Any:
    if value is None or isinstance(value, secret.Secret | resource.Unknown):
        return value
    return secret.Secret(value if isinstance(value, str) else canonical.digest(_revealed(value)))


def _revealed(value: Any) -> Any:
    """Data in which secrets are plain, to be digested and no more."""
    if isinstance(value, secret.Secret):
        raw = value.reveal()
        return raw if isinstance(raw, str) else raw.hex()
    if isinstance(value, Mapping):
        return {str(name): _revealed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    return value


def kept(found: Sequence[plan.FieldChange], ignored: Sequence[_Path] = ()) -> tuple[plan.FieldChange, ...]:
    """Field changes that somebody else computed; `ignored` paths left out."""
    if not ignored:
        return tuple(found)
    return tuple(
        change
        for change in found
        if not any(covers(pattern, tuple(change.path.split("."))) for pattern in ignored)
    )


def left_alone(
    rules: Sequence[application.Ignore], yields_to: Sequence[str], found: resource.LiveResource
) -> tuple[_Path, ...]:
    """The field paths that are left to others on one resource: by the rules of a policy, and by default."""
    name = str(found.id)
    paths: list[_Path] = []
    for rule in rules:
        if not fnmatch.fnmatchcase(name, rule.resources):
            continue
        pattern = steps(rule.path)
        if not rule.manager:
            paths.append(pattern)
        else:
            paths += [path for path in _written(found, rule.manager) if covers(pattern, path)]
    for writer in yields_to:
        paths += _written(found, writer)
    return tuple(dict.fromkeys(paths))


def steps(path: str) -> _Path:
    """A path of a rule: a JSON pointer (RFC 6901) where it begins with a slash, else dotted."""
    return pointers.steps(path)


def _written(found: resource.LiveResource, manager: str) -> Iterator[_Path]:
    for writer, paths in found.writers.items():
        if fnmatch.fnmatchcase(writer, manager):
            yield from paths


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
            if not any(covers(pattern, (*path, str(key))) for pattern in ignored)
        }
    if isinstance(desired, (list, tuple)):
        return [_without(item, ignored, (*path, _named(item, index))) for index, item in enumerate(desired)]
    return desired


def _named(item: Any, index: int) -> str:
    """How paths call an item of a list: by its name where it has one."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(index)


def _overlay(desired: Any, live: Any, ignored: Sequence[_Path], path: _Path) -> Any:
    if any(covers(pattern, path) for pattern in ignored):
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


def covers(pattern: _Path, path: _Path) -> bool:
    """Whether a path lies at or below what the pattern names."""
    if len(path) < len(pattern):
        return False
    return all(want in ("*", have) for want, have in zip(pattern, path, strict=False))


def _dotted(path: _Path) -> str:
    return ".".join(f'"{step}"' if "." in step else step for step in path)
