"""octoDNS' plan, translated: what differs between what is declared and what was seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from octodns.processor.base import BaseProcessor
from octodns.provider import SupportsException
from octodns.provider.plan import Plan, UnsafePlan
from octodns.record import Record
from octodns.zone import Zone

from undrift import errors
from undrift.engine import comparing
from undrift.model import plan, resource
from undrift.providers.dns import kinds, marks, opening, owners, planner, records, seeing, settings


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """octoDNS' plan of one zone, and its changes by ours."""

    plan: Plan | None
    changes: Mapping[resource.ResourceId, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """What previewing came to; `zones` are octoDNS' own plans, kept for the apply."""

    previews: plan.Previews
    zones: Mapping[str, Made]
    seen: Mapping[str, seeing.Seen]


def preview(place: opening.Opened, situation: plan.Situation) -> Planned:
    """Plan every zone. Blocks. Raises `ChangeRefused` for what the server does not support."""
    found: dict[str, Made] = {}
    looks: dict[str, seeing.Seen] = {}
    changes: list[plan.Change] = []
    doubts: list[errors.GuardError] = []
    wanted = _by_zone(situation.desired.resources)
    live = _by_zone(situation.live.resources)
    for zone in sorted({*wanted, *live, *(one.names.name for one in situation.live.marks)}):
        seen = place.seen(zone) or seeing.nothing(zone)
        work = _Zone(place, situation, seen, wanted.get(zone, ()), live.get(zone, ()))
        work.check()
        looks[zone] = seen
        made = work.made()
        changes += work.translated(made)
        if made.plan is not None:
            doubts += _doubts(made.plan, situation)
        found[zone] = made
    return Planned(plan.Previews(native=tuple(changes), doubts=tuple(doubts)), found, looks)


def _by_zone(ids: Collection[resource.ResourceId]) -> dict[str, list[resource.ResourceId]]:
    found: dict[str, list[resource.ResourceId]] = {}
    for rid in ids:
        found.setdefault(rid.namespace or rid.name, []).append(rid)
    return found


def _doubts(made: Plan, situation: plan.Situation) -> Iterator[errors.GuardError]:
    try:
        made.raise_if_unsafe()
    except UnsafePlan as unsafe:
        yield errors.PlanUnsafe(
            f"octoDNS calls the plan for {made.desired.decoded_name} unsafe",
            origin=situation.application.origin,
            why=str(unsafe).removesuffix(", force required").rpartition("] ")[2],
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Zone:
    """One zone while it is planned."""

    place: opening.Opened
    situation: plan.Situation
    seen: seeing.Seen
    wanted: Collection[resource.ResourceId]
    live: Collection[resource.ResourceId]

    @property
    def mode(self) -> settings.Ownership:
        return self.place.settings.of(self.seen.zone).ownership

    def check(self) -> None:
        """Raises `ChangeRefused` or `AdoptionRequired` where nothing can be planned."""
        zone, owner = self.seen.zone, self.situation.owner
        origin = next((self.situation.desired.resources[rid].origin for rid in self.wanted), None)
        if not self.seen.exists and self.wanted:
            hint = "make the zone there"
            if self.mode is not settings.Ownership.ZONE:
                hint += "; or set settings.ownership to zone, and it is made where the server has a way"
            elif self.place.server.makes_zones:
                return
            raise errors.ChangeRefused(
                f"the name server does not have the zone {zone}", origin=origin, hint=hint
            )
        strange = marks.others(self.seen.marks, owner)
        if self.mode is settings.Ownership.ZONE and strange and self.wanted:
            names = ", ".join(f"{one.application} (agent {one.agent})" for one in strange)
            raise errors.AdoptionRequired(
                f"{zone} is declared as wholly ours, and is not", origin=origin, why=f"it bears the mark of {names}",
                hint="remove it there first, or set settings.ownership of the Target to records",
            )  # fmt: skip

    def made(self) -> Made:
        """OctoDNS' plan."""
        if self._stays():
            return Made(None, {})
        provider, zone = self.place.server.provider, self.seen.zone
        processors = self._processors()
        desired = seeing.octodns(zone, self._declared())
        found = self._existing(desired)
        try:
            for one in processors:
                desired = one.process_source_zone(desired, sources=[])
            existing = seeing.octodns(zone, [*found, *self._added(desired, found)])
            with planner.feeding(provider, existing, exists=self.seen.exists):
                made = provider.plan(desired, processors=list(processors))
            for one in processors:
                made = one.process_plan(made, sources=[], target=provider) if made is not None else None
        except SupportsException as error:
            raise errors.ChangeRefused(
                f"the provider does not support what {zone} declares",
                why=str(error),
                hint="leave it out, or set options.strict_supports to false",
            ) from error
        changes = {
            records.rid_of(one.record, zone): one for one in (made.changes if made is not None else ())
        }
        return Made(made, changes)

    def _stays(self) -> bool:
        """A zone that left Git stays as it is until Git says that it goes: it is data, and so is what is in it."""
        policy, zone = self.situation.application.policy, kinds.zone_id(self.seen.zone)
        whole = self.mode is settings.Ownership.ZONE and zone not in self.wanted and bool(self.live)
        return whole and not comparing.matches(policy.delete_protected, zone)

    def _processors(self) -> tuple[BaseProcessor, ...]:
        own = (owners.processor(self.situation.owner),) if self.mode is settings.Ownership.OCTODNS else ()
        return (*self.place.processors, *own)

    def _declared(self) -> Iterator[Record]:
        for rid in self.wanted:
            if rid.kind != kinds.ZONE:
                yield self.situation.desired.resources[rid].settings[records.RECORD]

    def _existing(self, desired: Zone) -> list[Record]:
        """What octoDNS may see: what is ours or declared. A stranger's record is none of its business."""
        if self.mode is settings.Ownership.OCTODNS:
            return list(self.seen.records.values())
        return [found for rid in self.live if (found := self.seen.record(rid)) is not None]

    def _added(self, desired: Zone, found: list[Record]) -> list[Record]:
        """What processors declare beside, and what is there already."""
        if not self.place.processors or self.mode is settings.Ownership.OCTODNS:
            return []
        known = {records.key(one) for one in found}
        added = {records.key(one) for one in desired.records} - known
        return [self.seen.records[key] for key in added if key in self.seen.records]

    def translated(self, made: Made) -> Iterator[plan.Change]:
        """OctoDNS' changes as ours, and those of the zone itself."""
        yield from self._zone()
        for rid, change in made.changes.items():
            if change.new is None and rid not in self.situation.live.resources and not self._may_go(change):
                continue
            yield self._change(rid, change)

    def _may_go(self, change: Any) -> bool:
        """Whether what is neither declared nor ours may be removed: only octoDNS' notes of ownership."""
        policy = self.situation.application.policy
        return self.mode is settings.Ownership.OCTODNS and owners.is_owners(change.record) and policy.prune

    def _change(self, rid: resource.ResourceId, change: Any) -> plan.Change:
        known = self.situation.live.resources.get(rid) or self.seen.live.get(rid)
        live = known if change.existing is not None else None
        before = live.fields if live is not None else {}
        if change.new is None:
            gone = tuple(plan.FieldChange(name, value, None) for name, value in before.items())
            return plan.Change(plan.Action.DELETE, rid, plan.Reason.PRUNE, None, live, gone)
        after = records.fields(change.new)
        desired = self.situation.desired.resources.get(rid) or resource.Resource(rid, after)
        if desired.fields != after:
            desired = dataclasses.replace(desired, fields=after)
        desired = dataclasses.replace(desired, settings={records.RECORD: change.new})
        if live is None:
            new = tuple(plan.FieldChange(name, None, value) for name, value in after.items())
            return plan.Change(plan.Action.CREATE, rid, plan.Reason.DECLARED, desired, None, new)
        told = comparing.differences(after, before) or (
            plan.FieldChange("octodns", change.existing.octodns or None, change.new.octodns or "renewed"),
        )
        return plan.Change(plan.Action.UPDATE, rid, plan.Reason.DECLARED, desired, live, told)

    def _zone(self) -> Iterator[plan.Change]:
        """The zone, and our mark in it."""
        rid, desired = kinds.zone_id(self.seen.zone), self.situation.desired.resources
        live = self.situation.live.resources.get(rid)
        if rid in desired and live is None:
            yield plan.Change(plan.Action.CREATE, rid, plan.Reason.DECLARED, desired[rid])
        elif rid not in desired and live is not None:
            yield plan.Change(plan.Action.DELETE, rid, plan.Reason.PRUNE, None, live)
        elif live is None and self._is_unmarked():
            yield plan.Change(plan.Action.MARK, rid, plan.Reason.OWNERSHIP)

    def _is_unmarked(self) -> bool:
        """Whether we own records here and the zone does not say so any more."""
        if self.mode is not settings.Ownership.RECORDS or not self.seen.exists:
            return False
        if any(marks.is_ours(text, self.situation.owner) for text in self.seen.marks):
            return False
        entries = self.situation.inventory.entries
        return any(rid in entries for rid in self.live)
