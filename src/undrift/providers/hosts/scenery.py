"""Which real folders have to be watched for which resources, and what a path that changed stands for."""

from __future__ import annotations

import os
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable

from undrift.model import resource
from undrift.providers.hosts import kinds

Hint = frozenset[resource.ResourceId]
_Table = defaultdict[str, set[resource.ResourceId]]


class Scenery:
    """Folders are watched one by one and not as a tree: what is ours may be a few files in `/etc`.

    Its methods but `hint` and `moved` block: they look which folders there are.
    """

    def __init__(self, real: Callable[[str], str]) -> None:
        self._real = real
        self._at: _Table = defaultdict(set)
        self._below: _Table = defaultdict(set)
        self._users: _Table = defaultdict(set)
        self._places: dict[resource.ResourceId, tuple[str, ...]] = {}

    @property
    def folders(self) -> frozenset[str]:
        """What has to be watched."""
        return frozenset(self._users)

    def place(self, ids: Iterable[resource.ResourceId]) -> None:
        """Find the folders of resources, anew where they are known already."""
        found: dict[str, tuple[str, str]] = {}
        for rid in ids:
            self.remove(rid)
            path = kinds.path_of(rid)
            if path:
                above = self._real(posixpath.dirname(path))
                if above not in found:
                    there = _existing(above)
                    found[above] = (there, os.path.realpath(there))
                self._place(rid, posixpath.basename(path), above, *found[above])

    def _place(self, rid: resource.ResourceId, name: str, above: str, there: str, folder: str) -> None:
        """`there` is the nearest folder that exists, `folder` where it really is."""
        if there != above:
            # Its own parents are missing: whatever comes in this folder may be the first of them.
            self._below[folder].add(rid)
            folders: tuple[str, ...] = (folder,)
        else:
            # The folder itself may be moved away: its own parent tells.
            self._at[posixpath.join(folder, name)].add(rid)
            self._at[folder].add(rid)
            folders = (folder, posixpath.dirname(folder))
        self._places[rid] = (*folders, posixpath.join(folder, name))
        for each in folders:
            self._users[each].add(rid)

    def remove(self, rid: resource.ResourceId) -> None:
        """Forget a resource."""
        for path in self._places.pop(rid, ()):
            for table in (self._at, self._below, self._users):
                if path in table:
                    table[path].discard(rid)
                    if not table[path]:
                        del table[path]

    def hint(self, changed: Iterable[str]) -> Hint:
        """The resources that changes at these paths may have to do with."""
        found: set[resource.ResourceId] = set()
        for path in changed:
            for table, place in (
                (self._at, path),
                (self._below, posixpath.dirname(path)),
                (self._below, path),
            ):
                found |= table.get(place, set())
        return frozenset(found)

    def moved(self, changed: Iterable[str]) -> tuple[frozenset[str], Hint]:
        """Watched folders that came, went or were exchanged, and the resources whose folders are others now."""
        folders: set[str] = set()
        found: set[resource.ResourceId] = set()
        for path in changed:
            above = posixpath.dirname(path)
            if path in self._users:
                folders.add(path)
                found |= self._users[path]
            found |= self._below.get(above, set())
        return frozenset(folders), frozenset(found)


def _existing(folder: str) -> str:
    while not os.path.isdir(folder) and folder != "/":  # noqa: PTH112 - many of them, and text is enough
        folder = posixpath.dirname(folder)
    return folder
