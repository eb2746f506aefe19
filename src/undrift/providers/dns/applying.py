"""Changes of a wave → as few messages as they fit into, each made whole or not at all."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence

from octodns.record import Record
from octodns.zone import Zone

from undrift import errors
from undrift.model import inventory, plan, resource
from undrift.providers.dns import kinds, marks, opening, previewing, records, seeing, server, settings

_GOES = (plan.Action.DELETE, plan.Action.RELEASE)


@dataclasses.dataclass(slots=True)
class _Work:
    """What is to be done in one zone: portions, those that are done, and what stopped them."""

    seen: seeing.Seen
    whole: plan.Change | None
    portions: tuple[tuple[server.Step, ...], ...]
    notes: tuple[tuple[str, ...], ...]
    place_of: Mapping[resource.ResourceId, int]
    done: int = 0
    error: errors.UndriftError | None = None
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)


class Applier:
    """Applies the plan that was previewed last, for one session."""

    def __init__(self, place: opening.Opened) -> None:
        self._place = place
        self._planned: previewing.Planned | None = None
        self._situation: plan.Situation | None = None
        self._work: dict[str, _Work] = {}

    def keep(self, planned: previewing.Planned, situation: plan.Situation) -> None:
        """What the changes to come were made from."""
        self._planned, self._situation = planned, situation

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`: our mark goes out with the changes themselves."""
        zones: dict[str, list[plan.Change]] = {}
        for change in changes:
            zones.setdefault(kinds.zone_of(change.id), []).append(change)
        self._work = {zone: self._prepared(zone, some, owner, revision) for zone, some in zones.items()}

    def _prepared(
        self, zone: str, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str
    ) -> _Work:
        planned = self._planned
        seen = (planned.seen.get(zone) if planned is not None else None) or seeing.nothing(zone)
        whole = next((change for change in changes if change.id.kind == kinds.ZONE), None)
        steps = tuple(self._step(zone, seen, change) for change in changes if change.id.kind != kinds.ZONE)
        if whole is not None and whole.action is plan.Action.DELETE:
            return _Work(seen, whole, (), (), {})
        portions = self._place.server.weigh(tuple(step for step in steps if step.old or step.new))
        place_of = {step.change.id: index for index, some in enumerate(portions) for step in some}
        return _Work(
            seen, whole, portions, self._notes(seen, changes, owner, (revision, len(portions))), place_of
        )

    def _notes(
        self, seen: seeing.Seen, changes: Sequence[plan.Change], owner: inventory.Owner, how: tuple[str, int]
    ) -> tuple[tuple[str, ...], ...]:
        """The values of our TXT record before the first message and after each."""
        if self._place.settings.of(seen.zone).ownership is settings.Ownership.OCTODNS:
            return (seen.marks,) * (how[1] + 1)
        revision, count = how
        earlier = marks.revision(seen.marks, owner) or revision
        mark = marks.Mark(owner.agent, owner.application, revision)
        last = mark if self._owns_after(seen.zone, changes) else None
        under_way = dataclasses.replace(mark, earlier=earlier)
        values = [marks.replaced(seen.marks, owner, under_way)] * (count - 1)
        return (seen.marks, *values, marks.replaced(seen.marks, owner, last))

    def _owns_after(self, zone: str, changes: Sequence[plan.Change]) -> bool:
        """Whether anything in the zone is ours when all is done."""
        gone = {change.id for change in changes if change.action in _GOES}
        if any(change.action not in _GOES for change in changes):
            return True
        entries = self._situation.inventory.entries if self._situation is not None else {}
        return any(rid.namespace == zone and rid not in gone for rid in entries)

    def _step(self, zone: str, seen: seeing.Seen, change: plan.Change) -> server.Step:
        """A change as records. One that touches no record (a mark, a release) has none."""
        if change.action in (plan.Action.RELEASE, plan.Action.MARK) or (
            change.action is plan.Action.ADOPT and not change.fields
        ):
            return server.Step(change, None, None)
        name = "" if change.id.name == kinds.APEX else change.id.name
        home = Zone(zone, [])
        old = seen.record(change.id) if change.live is not None else None
        told = (
            self._planned.zones[zone].changes.get(change.id)
            if self._planned and zone in self._planned.zones
            else None
        )
        new: Record | None = None
        if change.desired is not None:
            given = change.desired.settings.get(records.RECORD) or (told.new if told is not None else None)
            kind = records.kind_of(given) if given is not None else change.id.kind
            new = records.again(home, name, kind, change.desired.fields, given)
        same = told is not None and told.new is new and (told.existing is None) == (old is None)
        return server.Step(change, old, new, told if same else None)

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`: the messages up to the one that has this change."""
        zone = kinds.zone_of(change.id)
        work = self._work[zone]
        async with work.lock:
            if work.error is not None:
                raise work.error
            try:
                await self._whole(zone, work)
                for number in range(work.done, self._needed(work, change)):
                    await asyncio.to_thread(self._place.server.send, self._batch(zone, work, number))
                    work.done = number + 1
            except errors.UndriftError as error:
                work.error = error
                if isinstance(error, errors.ChangeConflict):
                    self._place.forget(zone)
                raise
        if change.action not in (plan.Action.RELEASE, plan.Action.MARK) and change.id.kind != kinds.ZONE:
            self._place.expected[change.id] = change.desired.fields if change.desired is not None else None

    def _needed(self, work: _Work, change: plan.Change) -> int:
        """How many messages have to be out for a change to be made: what touches no record is in the last one."""
        return work.place_of.get(change.id, len(work.portions) - 1) + 1

    def _batch(self, zone: str, work: _Work, number: int) -> server.Batch:
        made = self._planned.zones.get(zone) if self._planned is not None else None
        meta = made.plan.meta if made is not None and made.plan is not None and not number else None
        return server.Batch(
            work.seen, work.portions[number], (work.notes[number], work.notes[number + 1]), meta
        )

    async def _whole(self, zone: str, work: _Work) -> None:
        """Make or remove the zone itself, once."""
        whole, work.whole = work.whole, None
        if whole is None:
            return
        if whole.action is plan.Action.CREATE:
            await asyncio.to_thread(self._place.server.create, zone)
            seen = await self._place.look(zone, whole=True)
            if seen.exists:
                # A new zone comes with records of its server's: what is declared takes their place.
                work.seen = seen
                work.portions = tuple(tuple(self._met(seen, step) for step in some) for some in work.portions)
        elif whole.action is plan.Action.DELETE:
            await asyncio.to_thread(self._place.server.delete, zone)
            self._place.forget(zone)

    def _met(self, seen: seeing.Seen, step: server.Step) -> server.Step:
        there = seen.record(step.change.id)
        return (
            step
            if there is None or step.old is not None
            else dataclasses.replace(step, old=there, octodns=None)
        )
