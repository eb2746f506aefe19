"""An object of the API server → fields in the form of a declaration, and what two of them differ in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from undrift.model import resource, secret
from undrift.providers.kubernetes import hiding, kinds, marks

_NOISE: Final = frozenset(
    {
        "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
        "name", "namespace", "resourceVersion", "selfLink", "uid",
    }
)  # fmt: skip
_Path = tuple[str, ...]
_Difference = tuple[_Path, Any, Any]
_ABSENT: Final = object()
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def fields(rid: resource.ResourceId, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a declaration could be compared with: no status, no marks, nothing that only the server writes."""
    made = {name: value for name, value in data.items() if name not in {"kind", "metadata", "status"}}
    metadata = {
        name: value for name, value in (data.get("metadata") or {}).items() if name not in _NOISE and value
    }
    for part, own in (("labels", {marks.LABEL}), ("annotations", {marks.ANNOTATION, _LAST_APPLIED})):
        left = {name: value for name, value in (metadata.pop(part, None) or {}).items() if name not in own}
        if left:
            metadata[part] = left
    if metadata:
        made["metadata"] = metadata
    return hiding.of_kind_secret(made) if rid.kind == kinds.SECRET else made


def differences(before: Any, after: Any, path: _Path = ()) -> Iterator[_Difference]:
    """Everything that is another in `after`: path, before, after (None = absent).

    Items of a list are told apart by their names where they have any, else by their places.
    """
    if isinstance(before, secret.Secret) or isinstance(after, secret.Secret):
        if before != after:
            yield path, before, after
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_mappings(before, after, path)
    elif _are_lists(before, after) and before != after:
        yield from _of_lists(before, after, path)
    elif before != after:
        yield path, before, after


def _of_mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: _Path) -> Iterator[_Difference]:
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if old is _ABSENT or new is _ABSENT:
            shown = (None if old is _ABSENT else old, None if new is _ABSENT else new)
            if shown[0] != shown[1]:
                yield (*path, str(name)), *shown
        elif old != new or isinstance(old, Mapping | list):
            yield from differences(old, new, (*path, str(name)))


def _of_lists(before: Sequence[Any], after: Sequence[Any], path: _Path) -> Iterator[_Difference]:
    olds, news = _named(before), _named(after)
    if olds is not None and news is not None:
        yield from _of_mappings(olds, news, path)
    elif len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, (*path, str(index)))
    else:
        yield path, list(before), list(after)


def _are_lists(before: Any, after: Any) -> bool:
    return isinstance(before, list | tuple) and isinstance(after, list | tuple)


def _named(items: Sequence[Any]) -> dict[str, Any] | None:
    """Items by their names, when each has one of its own."""
    found = {
        item["name"]: item
        for item in items
        if isinstance(item, Mapping) and isinstance(item.get("name"), str)
    }
    return found if len(found) == len(items) else None
