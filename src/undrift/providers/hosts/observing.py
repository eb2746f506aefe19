"""One look at a host: what was asked for and everything that bears the owner's mark, in a batch."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from undrift import errors
from undrift.lib import process
from undrift.model import health, inventory, resource
from undrift.providers.hosts import book, kinds, managing, marks, shaping, transport
from undrift.providers.hosts import health as health_of
from undrift.providers.hosts.system import facilities, facility


class Observer:
    """Looks at a host through its transport, its marks and its service managers."""

    def __init__(self, host: transport.Transport, own: book.Book, services: managing.Services) -> None:
        self._host = host
        self._book = own
        self._services = services
        self._left: dict[resource.ResourceId, marks.Record | None] = {}

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        await asyncio.to_thread(self._ready, owner)
        wanted = {*ids, *self._book.owned(owner)}
        told = await self._survey(wanted, self._book.question())
        if told.moved:
            # Others have written marks, or we know none yet: what they name is looked at, too.
            self._book.refresh(owner)
            wanted = {*ids, *self._book.owned(owner)}
            told = await self._survey(wanted)
        judged = await self._services.judge(told.units) if told.units else {}
        found: dict[resource.ResourceId, resource.LiveResource] = {}
        for rid in wanted:
            records = self._book.records(rid)
            if rid.kind == kinds.SERVICE:
                unit = told.units.get(rid.name)
                one = self._live(rid, unit.fields, records, judged[rid.name]) if unit is not None else None
            elif rid.kind == kinds.COMMAND:
                ran = _ran(records)
                one = self._live(rid, ran, records, health.HEALTHY) if ran is not None else None
            elif rid.kind in facilities.SERVING:
                known = told.known.get(rid)
                one = self._live(rid, known.fields, records, known.health) if known is not None else None
            else:
                one = self._at_path(rid, told.seen.get(kinds.path_of(rid)), records)
            if one is not None:
                found[rid] = one
        self._left = self._leftovers(wanted, found, frozenset(ids), owner)
        return resource.LiveState(found)

    async def _survey(
        self, ids: Collection[resource.ResourceId], first: transport.Question | None = None
    ) -> _Told:
        """Everything about these resources, and whether marks moved (`first` asks), in one round trip."""
        names = [rid.name for rid in ids if rid.kind == kinds.SERVICE]
        served = _by_facility(ids)
        needs = _needs(ids)
        asked = [first] if first is not None else []
        wants = self._services.wants(names) if names else ()
        questions = {one: one.question(own) for one, own in served.items()}
        for paths in (*(each.needs for each in wants), *(one.needs(own) for one, own in served.items())):
            for path, need in paths.items():
                needs[path] = needs.get(path, transport.Need.NOTHING) | need
        asked += [each.question for each in wants if each.question is not None]
        asked += [question for question in questions.values() if question is not None]
        seen, answers = await self._ask(ids, needs, asked)
        answered = iter(answers)
        moved = self._book.learn(next(answered)) if first is not None else False
        units: Mapping[str, health_of.Unit] = {}
        if names:
            notes = self._kept(names)
            told = [
                managing.Told(seen, next(answered) if each.question is not None else None, notes)
                for each in wants
            ]
            units = await self._services.know(names, told)
        known: dict[resource.ResourceId, facility.Known] = {}
        for one, own in served.items():
            done = next(answered) if questions[one] is not None else None
            known |= self._answered(one, own, seen, done)
        return _Told(seen, units, known, moved)

    async def _ask(
        self,
        ids: Collection[resource.ResourceId],
        needs: Mapping[str, transport.Need],
        asked: Sequence[transport.Question],
    ) -> tuple[Mapping[str, transport.Seen], Sequence[process.Completed]]:
        if not needs and not asked:
            return {}, ()
        try:
            if not asked:
                return await self._host.look(needs), ()
            return await self._host.survey(needs, asked)
        except errors.TargetError as error:
            error.about = next((str(rid) for rid in ids if kinds.path_of(rid) == error.about), error.about)
            raise

    def _answered(
        self,
        one: facility.Facility,
        ids: Collection[resource.ResourceId],
        seen: Mapping[str, transport.Seen],
        done: process.Completed | None,
    ) -> Mapping[resource.ResourceId, facility.Known]:
        """What a facility makes of what was found. What there always is exists once one of us has set it."""
        records = {rid: self._book.records(rid) for rid in ids}
        made = {rid: found for rid, found in records.items() if any(each.made is not None for each in found)}
        notes = {rid: found[0].notes for rid, found in made.items()}
        hidden = frozenset(rid for rid, found in records.items() if _hidden(found))
        known = one.answer(ids, facility.Told(seen, done, notes, hidden))
        return {rid: each for rid, each in known.items() if rid.kind not in facilities.EVER or rid in made}

    def _leftovers(
        self,
        wanted: Collection[resource.ResourceId],
        found: Mapping[resource.ResourceId, resource.LiveResource],
        ids: frozenset[resource.ResourceId],
        owner: inventory.Owner,
    ) -> dict[resource.ResourceId, marks.Record | None]:
        """Records that a death left behind, or that are of nothing, and what is to become of them."""
        left: dict[resource.ResourceId, marks.Record | None] = {}
        for rid in wanted:
            record, live = self._book.record(owner, rid), found.get(rid)
            if record is None:
                continue
            if record.overtaken(self._book.records(rid)) or (
                live is None and (record.made is None or record.deleting or rid not in ids)
            ):
                left[rid] = None
            elif record.intent is not None:
                done = live is not None and live.mark is not None and live.mark.pending
                left[rid] = record if done else dataclasses.replace(record, intent=None)
        return left

    async def tidy(self, owner: inventory.Owner) -> None:
        """Put the owner's records in order after a look, and remove files that were never finished.

        A mark of what is not there is dropped: whatever comes there later is another's.
        """
        left, self._left = self._left, {}
        if not left:
            return
        for rid, record in left.items():
            if record is None:
                self._book.drop(owner, rid)
            elif record != self._book.record(owner, rid):
                self._book.stage(record)
        own = (rid for rid, record in left.items() if record is not None or not self._book.records(rid))
        unfinished = [transport.unfinished(path) for rid in own if (path := kinds.path_of(rid))]
        await self._host.change([transport.Remove(path, transport.Sort.FILE) for path in unfinished])
        await asyncio.to_thread(self._book.flush)

    async def see(self, ids: Collection[resource.ResourceId]) -> Mapping[str, transport.Seen]:
        """What there is at the paths of resources."""
        return (await self._ask(ids, _needs(ids), ()))[0]

    async def fields(self, rid: resource.ResourceId) -> dict[str, Any] | None:
        """All fields of one resource as it is now; None when it does not exist."""
        records = self._book.records(rid)
        if rid.kind == kinds.COMMAND:
            return _ran(records)
        told = await self._survey([rid])
        if rid.kind == kinds.SERVICE:
            unit = told.units.get(rid.name)
            return dict(unit.fields) if unit is not None else None
        if rid.kind in facilities.SERVING:
            return dict(told.known[rid].fields) if rid in told.known else None
        return shaping.fields_of(rid, told.seen.get(kinds.path_of(rid)), hidden=_hidden(records))

    def _ready(self, owner: inventory.Owner) -> None:
        self._book.try_to_flush()
        self._book.refresh(owner)

    def _kept(self, names: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """What was noted about services when they were made."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in names:
            for record in self._book.records(resource.ResourceId.of(kinds.SERVICE, name))[:1]:
                found[name] = record.notes
        return found

    def _at_path(
        self, rid: resource.ResourceId, seen: transport.Seen | None, records: list[marks.Record]
    ) -> resource.LiveResource | None:
        fields = shaping.fields_of(rid, seen, hidden=_hidden(records))
        if fields is None:
            return None
        if shaping.IS in fields and not any(record.made is not None for record in records):
            return None
        return self._live(rid, fields, records, health.HEALTHY)

    def _live(
        self,
        rid: resource.ResourceId,
        fields: Mapping[str, Any],
        records: list[marks.Record],
        how: health.Health,
    ) -> resource.LiveResource:
        mark = next((mark for record in records if (mark := record.mark(fields)) is not None), None)
        shown = _declared(fields, records)
        edges = (kinds.parent_of(rid),) if kinds.path_of(rid) else ()
        return resource.LiveResource(rid, shown, mark, how, depends_on=edges)


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    """What one look found: at paths, of services, and of all else that a machine has; `moved`: marks are others."""

    seen: Mapping[str, transport.Seen]
    units: Mapping[str, health_of.Unit]
    known: Mapping[resource.ResourceId, facility.Known]
    moved: bool = False


def _by_facility(
    ids: Collection[resource.ResourceId],
) -> dict[facility.Facility, list[resource.ResourceId]]:
    found: dict[facility.Facility, list[resource.ResourceId]] = {}
    for rid in ids:
        if rid.kind in facilities.SERVING:
            found.setdefault(facilities.SERVING[rid.kind], []).append(rid)
    return found


def _needs(ids: Collection[resource.ResourceId]) -> dict[str, transport.Need]:
    """What files and their like need to be looked at for."""
    needs: dict[str, transport.Need] = {}
    for rid in ids:
        path = kinds.path_of(rid) if rid.kind not in facilities.SERVING else ""
        if path:
            needs[path] = needs.get(path, transport.Need.NOTHING) | shaping.need(rid)
    return needs


def _hidden(records: list[marks.Record]) -> bool:
    return any(record.secret for record in records)


def _declared(fields: Mapping[str, Any], records: list[marks.Record]) -> Mapping[str, Any]:
    """Only what was declared when it was applied: a settled resource then equals its declaration at once."""
    if not records or records[0].made is None or records[0].intent is not None or shaping.IS in fields:
        return fields
    names = records[0].made.look.names
    return {name: fields[name] for name in names if name in fields}


def _ran(records: list[marks.Record]) -> dict[str, Any] | None:
    """A command exists where it ran to its end, and its fields are those that it ran with."""
    for record in records:
        if record.made is not None and "values" in record.notes:
            return kinds.kept(record.notes)
    return None
