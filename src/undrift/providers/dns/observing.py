"""One look at the zones of a target: what was asked for, what is ours, and whose marks there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from undrift.model import health, inventory, resource
from undrift.providers.dns import answering, kinds, marks, opening, owners, seeing, settings

_Found = Iterator[tuple[resource.ResourceId, resource.LiveResource]]


class Observer:
    """Looks at a target for one session. A look that found what the one before did is the same object."""

    def __init__(self, place: opening.Opened) -> None:
        self._place = place
        self._last: tuple[frozenset[str], list[seeing.Seen], frozenset[resource.ResourceId]] | None = None
        self._live = resource.NOTHING_LIVE
        self._owner: inventory.Owner | None = None

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`. Only a look at everything asked for is compared with the one before."""
        zones = self._place.zones(ids)
        found = [await self._place.look(zone) for zone in zones]
        asked = frozenset(ids)
        if not self._is_as_before(zones, found, asked, owner):
            self._live = self._state(found, asked, owner)
            self._last, self._owner = (frozenset(zones), found, asked), owner
        return await self._judged(self._live) if self._place.expected else self._live

    def _is_as_before(
        self,
        zones: Collection[str],
        found: list[seeing.Seen],
        asked: frozenset[resource.ResourceId],
        owner: inventory.Owner,
    ) -> bool:
        if self._last is None or self._owner != owner or self._last[0] != frozenset(zones):
            return False
        same = all(one is other for one, other in zip(found, self._last[1], strict=True))
        return same and self._last[2] == asked

    def _state(
        self, found: list[seeing.Seen], asked: frozenset[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        resources: dict[resource.ResourceId, resource.LiveResource] = {}
        known: tuple[inventory.Mark, ...] = ()
        for seen in found:
            known += marks.known(seen.zone, seen.marks)
            match self._place.settings.of(seen.zone).ownership:
                case settings.Ownership.RECORDS:
                    live = seen.live
                    # The smaller of the two is walked through.
                    inside = asked if len(asked) <= len(live) else live
                    resources.update((rid, live[rid]) for rid in inside if rid in live and rid in asked)
                case settings.Ownership.ZONE:
                    resources.update(_whole(seen, asked, owner))
                case _:
                    resources.update(owners.marked(seen, asked, owner))
        return resource.LiveState(resources, marks=known)

    async def _judged(self, live: resource.LiveState) -> resource.LiveState:
        """The same look, with what not every name server answers with yet."""
        told = await answering.lagging(self._place)
        resources = dict(live.resources)
        for rid, reason in told.items():
            if rid in resources:
                late = health.Health(health.Status.PROGRESSING, reason)
                resources[rid] = dataclasses.replace(resources[rid], health=late)
        return dataclasses.replace(live, resources=resources)


def _whole(seen: seeing.Seen, asked: frozenset[resource.ResourceId], owner: inventory.Owner) -> _Found:
    """A zone that is wholly somebody's: everything in it has the mark of the zone."""
    if not seen.exists:
        return
    zone = kinds.zone_id(seen.zone)
    known = marks.known(seen.zone, seen.marks)
    strange = next((one for one in known if not owner.owns(one)), None)
    ours = next((one for one in known if owner.owns(one)), None)
    mark = strange or ours
    everything = mark is not None and strange is None
    if everything or zone in asked:
        yield zone, resource.LiveResource(zone, {}, mark)
    for rid, live in seen.live.items():
        if everything or rid in asked:
            named = dataclasses.replace(mark, names=rid) if mark is not None else None
            yield rid, dataclasses.replace(live, mark=named)
