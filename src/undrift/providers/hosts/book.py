"""The marks as one session sees them: what is on the shelf, and over it what the session has staged."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from undrift import errors
from undrift.lib import process
from undrift.model import inventory, resource
from undrift.providers.hosts import marks, shelf, transport

_NONE = shelf.Edit({})
_Staged = dict[resource.ResourceId, marks.Record | None]


class Book:
    """All marks of a target. What is staged counts at once in this book, and for everybody after `flush`.

    `refresh` and `flush` do blocking I/O on small files; they belong in a thread. Raises `TargetError`s.
    """

    def __init__(self, place: shelf.Shelf) -> None:
        self._shelf = place
        self._staged: dict[marks.Key, _Staged] = {}
        self._before: dict[marks.Key, _Staged] = {}
        self._seen: dict[marks.Key, marks.File] = {}
        self._wrote: dict[marks.Key, _Staged] = {}
        self._made: dict[marks.Key, frozenset[str]] = {}
        self._gone: dict[marks.Key, frozenset[str]] = {}

    def refresh(self, owner: inventory.Owner) -> None:
        """Read what changed on disk since the last time, the owner's own files in any case."""
        keys = _keys(owner)
        self._shelf.refresh(keys)
        for key in keys:
            self._seen[key] = self._shelf.file(key)
            self._wrote.pop(key, None)

    def question(self) -> transport.Question | None:
        """See `shelf.Shelf`."""
        return self._shelf.question()

    def learn(self, done: process.Completed) -> bool:
        """See `shelf.Shelf`; `refresh` follows where there is something new."""
        return self._shelf.learn(done)

    def records(self, rid: resource.ResourceId) -> list[marks.Record]:
        """Every application's record of a resource, the latest owner first."""
        keys = dict.fromkeys(self._shelf.keys(rid))
        keys |= dict.fromkeys(key for key, staged in self._staged.items() if rid in staged)
        found = [record for key in keys if (record := self._record(key, rid)) is not None]
        return sorted(found, key=lambda record: record.since, reverse=True) if len(found) > 1 else found

    def record(self, owner: inventory.Owner, rid: resource.ResourceId) -> marks.Record | None:
        """The owner's own record, under its present or a former name."""
        return next((found for key in _keys(owner) if (found := self._record(key, rid)) is not None), None)

    def owned(self, owner: inventory.Owner) -> set[resource.ResourceId]:
        """What the owner's files name, whether it is there or not."""
        found: set[resource.ResourceId] = set()
        for key in _keys(owner):
            staged = self._staged.get(key, {})
            found |= self._shelf.file(key).records.keys() - staged.keys()
            found |= {rid for rid, record in staged.items() if record is not None}
        return found

    def folders(self, owner: inventory.Owner) -> frozenset[str]:
        """Parent folders that were made on the way for this owner."""
        return frozenset(path for key in _keys(owner) for path in self._folders(key))

    def stage(self, record: marks.Record) -> None:
        """Keep a record from now on."""
        self._stage((record.agent, record.application), record.id, record)

    def take(self, record: marks.Record) -> None:
        """Keep a record and drop everybody else's of the same resource."""
        for other in self.records(record.id):
            if (other.agent, other.application) != (record.agent, record.application):
                self._stage((other.agent, other.application), record.id, None)
        self.stage(record)

    def drop(self, owner: inventory.Owner, rid: resource.ResourceId) -> None:
        """Forget the owner's record of a resource."""
        for key in _keys(owner):
            if self._record(key, rid) is not None:
                self._stage(key, rid, None)

    def note_folders(self, owner: inventory.Owner, made: frozenset[str], gone: frozenset[str]) -> None:
        """Remember parent folders that were made, forget those that were removed."""
        own = (owner.agent, owner.application)
        for key in _keys(owner):
            if gone & self._folders(key):
                self._gone[key] = self._gone.get(key, frozenset()) | gone
                self._made[key] = self._made.get(key, frozenset()) - gone
        if made:
            self._made[own] = self._made.get(own, frozenset()) | made
            self._gone[own] = self._gone.get(own, frozenset()) - made

    def flush(self) -> None:
        """Write what is staged. Raises `TargetFull` and its like; then it stays staged.

        Raises `ChangeConflict` where another process wrote about the same resources since the last `refresh`: it
        holds the lease now. What was staged about those is given up.
        """
        edits = {key: self._edit(key) for key in [*self._staged, *self._made, *self._gone]}
        edits = {key: edit for key, edit in edits.items() if edit != _NONE}
        if edits:
            late = self._shelf.write(edits)
            for key, edit in edits.items():
                self._settle(key, edit)
            if late:
                raise errors.ChangeConflict(
                    f"the mark of {min(late)} was written by another process since it was looked at",
                    hint="it is planned anew, by whoever holds the lease",
                )

    def try_to_flush(self) -> None:
        """Write what is staged if that is possible now; what was announced before is on disk in any case."""
        with contextlib.suppress(errors.TargetError):
            self.flush()

    def _edit(self, key: marks.Key) -> shelf.Edit:
        made, gone = self._made.get(key, frozenset()), self._gone.get(key, frozenset())
        return shelf.Edit(dict(self._staged.get(key, {})), made, gone, dict(self._before.get(key, {})))

    def _stage(self, key: marks.Key, rid: resource.ResourceId, record: marks.Record | None) -> None:
        """Stage a record over what was on disk when this book looked, or when it wrote after that."""
        before = self._before.setdefault(key, {})
        if rid not in before:
            wrote, seen = self._wrote.get(key, {}), self._seen.get(key, self._shelf.file(key))
            before[rid] = wrote[rid] if rid in wrote else seen.records.get(rid)
        self._staged.setdefault(key, {})[rid] = record

    def _settle(self, key: marks.Key, edit: shelf.Edit) -> None:
        """Forget what was written, and nothing that was staged meanwhile."""
        staged, before = self._staged.get(key, {}), self._before.get(key, {})
        self._wrote.setdefault(key, {}).update(edit.records)
        for rid, record in edit.records.items():
            if staged.get(rid, _NONE) is record:
                del staged[rid]
                before.pop(rid, None)
            elif rid in staged:
                before[rid] = record
        if not staged:
            self._staged.pop(key, None)
            self._before.pop(key, None)
        for kept, done in ((self._made, edit.made), (self._gone, edit.gone)):
            left = kept.pop(key, frozenset()) - done
            if left:
                kept[key] = left

    def _record(self, key: marks.Key, rid: resource.ResourceId) -> marks.Record | None:
        staged: Mapping[resource.ResourceId, marks.Record | None] = self._staged.get(key, {})
        return staged[rid] if rid in staged else self._shelf.file(key).records.get(rid)

    def _folders(self, key: marks.Key) -> frozenset[str]:
        known = self._shelf.file(key).folders | self._made.get(key, frozenset())
        return known - self._gone.get(key, frozenset())


def _keys(owner: inventory.Owner) -> list[marks.Key]:
    return [(owner.agent, name) for name in (owner.application, *sorted(owner.former))]
