"""Which applications declare a resource of a target, kept up to date by reconciles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from undrift.model import inventory, resource

_Holders = dict[resource.ResourceId, set[str]]


class Register:
    """Target → resource → applications that declare it."""

    def __init__(self) -> None:
        self._targets: dict[str, _Holders] = defaultdict(dict)

    def replace(
        self,
        target: str,
        name: str,
        before: frozenset[resource.ResourceId],
        after: frozenset[resource.ResourceId],
    ) -> None:
        """An application declares `after` now; it declared `before`."""
        holders = self._targets[target]
        for rid in before - after:
            names = holders.get(rid, set())
            names.discard(name)
            if not names:
                holders.pop(rid, None)
        for rid in after - before:
            holders.setdefault(rid, set()).add(name)

    def holders(self, target: str, rid: resource.ResourceId) -> frozenset[str]:
        """Who declares a resource."""
        return frozenset(self._targets[target].get(rid, ()))

    def others(self, target: str, name: str) -> inventory.Claims:
        """What everybody but `name` declares on a target: a view, not a copy."""
        return _Others(self._targets[target], name)


class _Others(Mapping[resource.ResourceId, tuple[str, ...]]):
    """The claims of all but one application."""

    def __init__(self, holders: _Holders, name: str) -> None:
        self._holders = holders
        self._name = name

    def __getitem__(self, rid: resource.ResourceId) -> tuple[str, ...]:
        names = tuple(sorted(self._holders[rid] - {self._name}))
        if not names:
            raise KeyError(rid)
        return names

    def __iter__(self) -> Iterator[resource.ResourceId]:
        return (rid for rid, names in self._holders.items() if names != {self._name})

    def __len__(self) -> int:
        return sum(1 for _ in self)
