"""The fields that the API server says we own, and their values.

The format of `fieldsV1` is that of structured-merge-diff (fieldpath/serialize.go): a trie whose keys are `f:` a
field, `k:` the keys of a list's item, `v:` a value of a set, `i:` an index, and `.` for the node itself.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from undrift.providers.kubernetes import marks

MANAGER: Final = "undrift"
_ABSENT: Final = object()
_SELF: Final = "."
_Trie = Mapping[str, Any]


def by_us(metadata: Mapping[str, Any]) -> tuple[str, _Trie] | None:
    """The `apiVersion` and the trie of what we applied; None when the server knows of nothing."""
    for entry in metadata.get("managedFields") or ():
        if (
            entry.get("manager") == MANAGER
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            return str(entry.get("apiVersion", "")), entry.get("fieldsV1") or {}
    return None


@functools.lru_cache(1000)
def _names(found: frozenset[str]) -> tuple[str, ...]:
    """The same few sets of writers are on every resource."""
    return tuple(sorted(found))


def others(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Everybody else who wrote there, by name."""
    found = (entry.get("manager", "") for entry in metadata.get("managedFields") or ())
    return _names(frozenset(name for name in found if name and name != MANAGER))


def writers(metadata: Mapping[str, Any]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Which fields others wrote: paths by writer, who is called `manager`, or `manager/subresource`.

    What is written of a status is nobody's declaration and left out.
    """
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for entry in metadata.get("managedFields") or ():
        manager, part = str(entry.get("manager") or ""), str(entry.get("subresource") or "")
        own = manager == MANAGER and entry.get("operation") == "Apply"
        if manager and not own and part != "status":
            name = f"{manager}/{part}" if part else manager
            found[name] = (*found.get(name, ()), *_leaves(entry.get("fieldsV1") or {}, ()))
    return found


def ours(metadata: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths that we applied."""
    found = by_us(metadata)
    yield from _leaves(found[1], ()) if found is not None else ()


def _leaves(trie: _Trie, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of a trie, items of lists by their names, as plans show them."""
    for step, below in trie.items():
        if step == _SELF:
            continue
        here = (*path, _shown(step))
        if below and below.keys() != {_SELF}:
            yield from _leaves(below, here)
        elif here[0] != "status":
            yield here


def _shown(step: str) -> str:
    kind, _, name = step.partition(":")
    if kind == "f":
        return name
    told = _told(name)
    if isinstance(told, Mapping):
        told = told.get("name", next(iter(told.values()), ""))
    return str(told)


def digest(data: Mapping[str, Any], key: bytes) -> bytes:
    """A keyed digest of the values of the fields that we own, as they are now."""
    found = by_us(data.get("metadata") or {})
    if found is None or found[0] != data.get("apiVersion"):
        seen: Any = [found and found[0], *_content(data)]
    else:
        seen = _values(found[1], data)
    written = orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(written, digest_size=16, key=key).digest()


def agrees(data: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    """Whether we own exactly what `desired` declares, with its values: then nothing needs to be asked or done.

    False means that it could not be shown: a value that the server writes in another way, say.
    """
    found = by_us(data.get("metadata") or {})
    if found is None or found[0] != data.get("apiVersion"):
        return False
    wanted = {name: value for name, value in desired.items() if name != "apiVersion"}
    return _agree(_without_marks(found[1]), data, wanted)


def _content(data: Mapping[str, Any]) -> Iterator[Any]:
    """All that a declaration could be about, for want of something better."""
    metadata = data.get("metadata") or {}
    yield {name: metadata.get(name) for name in ("labels", "annotations", "ownerReferences")}
    yield {name: value for name, value in data.items() if name not in {"metadata", "status"}}


def within(trie: _Trie, value: Any) -> Any:
    """The part of a value that a trie covers; items of lists with the keys that they are told apart by."""
    steps = {step: below for step, below in trie.items() if step != _SELF}
    if not steps:
        return value
    if isinstance(value, Mapping):
        return {
            step[2:]: within(below, value[step[2:]])
            for step, below in steps.items()
            if step.startswith("f:") and step[2:] in value
        }
    if not isinstance(value, list):
        return value
    return [kept for item in value if (kept := _item_within(steps, item)) is not _ABSENT]


def _item_within(steps: _Trie, item: Any) -> Any:
    for step, below in steps.items():
        kind, _, name = step.partition(":")
        if kind == "k" and _bears(item, _told(name)):
            return {**{key: item[key] for key in _told(name)}, **within(below, item)}
        if kind == "v" and _told(name) == item:
            return item
    return _ABSENT


def _values(trie: _Trie, value: Any) -> Any:
    found: dict[str, Any] = {}
    for step, below in trie.items():
        if step == _SELF:
            continue
        inner = _at(step, value)
        if inner is _ABSENT:
            found[step] = [False]
        elif below:
            found[step] = _values(below, inner)
        else:
            found[step] = [True, inner]
    return found


def _at(step: str, value: Any) -> Any:
    """What a step of a trie leads to."""
    kind, _, name = step.partition(":")
    if kind == "f":
        return value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _ABSENT
    told = _told(name)
    if kind == "k":
        return next((item for item in value if _bears(item, told)), _ABSENT)
    if kind == "v":
        return told if told in value else _ABSENT
    return value[told] if isinstance(told, int) and told < len(value) else _ABSENT


@functools.lru_cache(4096)
def _told(name: str) -> Any:
    """What a step is about: keys, a value or an index. Few are ever seen."""
    return orjson.loads(name)


def _bears(item: Any, keys: Mapping[str, Any]) -> bool:
    return isinstance(item, Mapping) and all(item.get(name) == value for name, value in keys.items())


def _agree(trie: _Trie, live: Any, desired: Any) -> bool:
    below = {step: child for step, child in trie.items() if step != _SELF}
    if not below:
        return bool(live == desired) or (_SELF in trie and not desired)
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        return _agree_fields(below, live, desired)
    if isinstance(desired, list) and isinstance(live, list):
        return _agree_items(below, live, desired)
    return False


def _agree_fields(below: _Trie, live: Mapping[str, Any], desired: Mapping[str, Any]) -> bool:
    named = {step[2:]: child for step, child in below.items()}
    if any(name not in named for name, value in desired.items() if value not in (None, {}, [])):
        return False
    return all(
        name in desired and name in live and _agree(child, live[name], desired[name])
        for name, child in named.items()
    )


def _agree_items(below: _Trie, live: list[Any], desired: list[Any]) -> bool:
    if len(below) != len(desired):
        return False
    for step, child in below.items():
        have, want = _at(step, live), _declared(step, desired)
        if have is _ABSENT or want is _ABSENT:
            return False
        if child and not _agree(child, have, want):
            return False
    return True


def _declared(step: str, desired: list[Any]) -> Any:
    """The declared item that a step means; a key that it leaves out has the server's default (a port's protocol)."""
    kind, _, name = step.partition(":")
    if kind != "k":
        return _at(step, desired)
    keys = _told(name)
    fits = [
        item
        for item in desired
        if isinstance(item, Mapping) and all(item.get(key, value) == value for key, value in keys.items())
    ]
    return fits[0] if len(fits) == 1 else _ABSENT


def _without_marks(trie: _Trie) -> _Trie:
    """The trie as it would be without our own marks, which no declaration has."""
    metadata = dict(trie.get("f:metadata") or {})
    for part, mark in (("f:annotations", marks.ANNOTATION), ("f:labels", marks.LABEL)):
        left = {
            step: child for step, child in (metadata.pop(part, None) or {}).items() if step != f"f:{mark}"
        }
        if left and left.keys() != {_SELF}:
            metadata[part] = left
    rest = {step: child for step, child in trie.items() if step != "f:metadata"}
    return {**rest, "f:metadata": metadata} if metadata else rest
