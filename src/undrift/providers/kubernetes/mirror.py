"""What we know of the marked resources of a cluster without asking: as the watches tell it, and our own writes.

Of a resource that is as it was applied only a digest is kept. Only what is not known to be in order is kept whole, and
packed: after a start that is everything, until it was compared with what is declared.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import secrets
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.model import health, inventory, resource
from undrift.providers.kubernetes import expressions, judging, marks, owned, shaping, telling

_REMEMBERED: Final = 10_000
_LEVEL: Final = 1
_News = resource.ResourceId | errors.UndriftError


@dataclasses.dataclass(slots=True)
class Seen:
    """One marked resource as it was seen last; whole only while it is not known to be in order."""

    id: resource.ResourceId
    uid: str
    version: int
    mark: inventory.Mark | None
    digest: bytes
    health: health.Health
    managers: tuple[str, ...] = ()
    packed: bytes | None = dataclasses.field(default=None, repr=False)

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The whole of it, unpacked anew each time; None when it was not kept."""
        if self.packed is None:
            return None
        found: Mapping[str, Any] = orjson.loads(zlib.decompress(self.packed))
        return found

    def keep(self, data: Mapping[str, Any] | None) -> None:
        """Remember the whole of it, or nothing but its digest."""
        self.packed = None if data is None else zlib.compress(orjson.dumps(data), _LEVEL)


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A declaration that is true as long as the digest of what we own stays the same.

    `writers` is kept where a part of the declaration is left to them.
    """

    uid: str
    digest: bytes
    fields: resource.Fields = dataclasses.field(repr=False)
    writers: Mapping[str, tuple[tuple[str, ...], ...]] | None = None


class Mirror:
    """Lives on one event loop; written by watches and by our own applies. `rules` are the target's own of health."""

    def __init__(self, rules: Mapping[str, expressions.Rule] | None = None) -> None:
        self._rules = rules or {}
        self._seen: dict[resource.ResourceId, Seen] = {}
        self._known: dict[resource.ResourceId, Known] = {}
        self._owners: dict[tuple[str, str], set[resource.ResourceId]] = {}
        self._gone: collections.OrderedDict[resource.ResourceId, int] = collections.OrderedDict()
        self._writing: set[resource.ResourceId] = set()
        self._shown: dict[resource.ResourceId, tuple[tuple[str, ...], bytes]] = {}
        self._held: set[resource.ResourceId] = set()
        self._listeners: set[asyncio.Queue[_News]] = set()
        self._key = secrets.token_bytes(32)

    def __len__(self) -> int:
        return len(self._seen)

    def get(self, rid: resource.ResourceId) -> Seen | None:
        """What is known of a marked resource."""
        return self._seen.get(rid)

    def owned(self, owner: inventory.Owner) -> Iterator[resource.ResourceId]:
        """Everything that bears a mark of an owner, under its present and its former names."""
        for name in (owner.application, *owner.former):
            yield from self._owners.get((owner.agent, name), ())

    def of_kind(self, kind: str) -> list[resource.ResourceId]:
        """Everything of a kind."""
        return [rid for rid in self._seen if rid.kind == kind]

    def take(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> Seen:
        """A resource was seen, by a watch, an answer or a look. Older news than what is known is ignored."""
        metadata = data["metadata"]
        version = int(metadata.get("resourceVersion") or 0)
        before = self._seen.get(rid)
        if before is not None and before.version >= version:
            return before
        rid = rid if before is None else before.id
        seen = self.look_at(rid, data)
        if marks.LABEL in (metadata.get("labels") or {}) and self._gone.get(rid, -1) < version:
            self._put(seen, before)
            self._look_at_shown(rid, data)
        return seen

    def show(self, rid: resource.ResourceId, paths: Collection[str], data: Mapping[str, Any]) -> None:
        """Somebody is shown some fields of a resource: a change of them is told from now on."""
        self._shown[rid] = tuple(paths), telling.digest(data, paths, self._key)

    def _look_at_shown(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> None:
        shown = self._shown.get(rid)
        if shown is not None:
            found = telling.digest(data, shown[0], self._key)
            if found != shown[1]:
                self._shown[rid] = shown[0], found
                self._tell(rid)

    @contextlib.contextmanager
    def writing(self, rid: resource.ResourceId) -> Iterator[None]:
        """While we write: what a watch tells of it may be our own doing, and is judged afterwards."""
        self._writing.add(rid)
        try:
            yield
        finally:
            self._writing.discard(rid)
            seen = self._seen.get(rid)
            if rid in self._held:
                self._held.discard(rid)
                if seen is None or not self.is_known(seen):
                    self._tell(rid)

    def applied(self, wanted: resource.Resource, data: Mapping[str, Any]) -> None:
        """The answer to an apply: what is wanted is true of it."""
        rid = wanted.id
        seen = self._glance(rid, data)
        self.learn(rid, seen, wanted.fields, owned.writers(data["metadata"]) if wanted.left else None)
        before = self._seen.get(rid)
        if (before is None or before.version < seen.version) and self._gone.get(rid, -1) < seen.version:
            self._put(seen, before)

    def look_at(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> Seen:
        """What a look amounts to, remembering nothing."""
        seen = self._glance(rid, data)
        if not self.is_known(seen):
            seen.keep(data)
        return seen

    def _glance(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> Seen:
        metadata = data["metadata"]
        mark = marks.read(metadata)
        return Seen(
            rid,
            str(metadata.get("uid", "")),
            int(metadata.get("resourceVersion") or 0),
            dataclasses.replace(mark, names=rid) if mark is not None and mark.names == rid else mark,
            owned.digest(data, self._key),
            judging.judge(rid.kind, data, self._rules),
            owned.others(metadata),
        )

    def _put(self, seen: Seen, before: Seen | None) -> None:
        rid = seen.id
        self._seen[rid] = seen
        if before is None or before.mark != seen.mark:
            self._unlist(before)
            if seen.mark is not None and seen.mark.names == rid:
                self._owners.setdefault((seen.mark.agent, seen.mark.application), set()).add(rid)
        news = before is None or before.digest != seen.digest or before.mark != seen.mark
        if (news and not self.is_known(seen)) or (before and before.health.status is not seen.health.status):
            self._tell(rid)

    def drop(self, rid: resource.ResourceId, version: int) -> None:
        """A resource, or its label, is gone."""
        before = self._seen.get(rid)
        self._bury(rid, version)
        if before is not None and before.version <= version:
            del self._seen[rid]
            self._shown.pop(rid, None)
            self._unlist(before)
            self._tell(rid)

    def _bury(self, rid: resource.ResourceId, version: int) -> None:
        """What is gone is not brought back by older news."""
        self._gone[rid] = max(version, self._gone.pop(rid, 0))
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    def _unlist(self, before: Seen | None) -> None:
        if before is not None and before.mark is not None:
            names = self._owners.get((before.mark.agent, before.mark.application))
            if names is not None:
                names.discard(before.id)

    def keep_only(self, kind: str, there: Collection[resource.ResourceId], version: int) -> None:
        """A list was read anew: what is not in it is gone."""
        for rid in self.of_kind(kind):
            if rid not in there:
                self.drop(rid, version)

    def learn(
        self,
        rid: resource.ResourceId,
        seen: Seen,
        fields: resource.Fields,
        writers: Mapping[str, tuple[tuple[str, ...], ...]] | None = None,
    ) -> None:
        """`fields` are true of what was just seen; `writers` where they are not all that is declared."""
        self._known[rid] = Known(seen.uid, seen.digest, fields, writers)
        kept = self._seen.get(rid)
        if kept is not None and kept.digest == seen.digest:
            kept.keep(None)

    def is_known(self, seen: Seen) -> bool:
        """Whether it is as we know it to be right."""
        known = self._known.get(seen.id)
        return known is not None and known.digest == seen.digest and known.uid == seen.uid

    def live(self, seen: Seen) -> resource.LiveResource:
        """A look in the engine's words. What is known to be in order has the very fields of its declaration."""
        known = self._known.get(seen.id)
        if known is not None and known.digest == seen.digest and known.uid == seen.uid:
            fields: resource.Fields = known.fields
            writers = known.writers or {}
        else:
            data = seen.data or {}
            fields = shaping.fields(seen.id, data)
            writers = owned.writers(data.get("metadata") or {}) if seen.managers else {}
        return resource.LiveResource(
            seen.id, fields, seen.mark, seen.health, seen.uid, managers=seen.managers, writers=writers
        )

    def forget(self, rid: resource.ResourceId) -> None:
        """We deleted it, or let it go: nothing is known of it any more."""
        self._known.pop(rid, None)
        seen = self._seen.pop(rid, None)
        self._unlist(seen)
        if seen is not None:
            self._bury(rid, seen.version)

    def listen(self) -> asyncio.Queue[_News]:
        """A queue of hints; `stop` ends it."""
        made: asyncio.Queue[_News] = asyncio.Queue()
        self._listeners.add(made)
        return made

    def stop(self, queue: asyncio.Queue[_News]) -> None:
        """Nobody listens any more."""
        self._listeners.discard(queue)

    def fail(self, error: errors.UndriftError) -> None:
        """Whoever listens has to know that a watch has a defect."""
        self._tell(error)

    def _tell(self, rid: _News) -> None:
        if rid in self._writing and isinstance(rid, resource.ResourceId):
            self._held.add(rid)
            return
        for queue in self._listeners:
            queue.put_nowait(rid)
