"""The provider `dns`: zones on name servers. octoDNS plans, and exactly the plan that was shown is applied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from undrift import interfaces
from undrift.lib import canonical
from undrift.model import finding, inventory, plan, resource, target
from undrift.providers.dns import (
    applying,
    kinds,
    loading,
    observing,
    opening,
    previewing,
    settings,
    surveying,
    watching,
)


class DnsProvider:
    """Implements `interfaces.Provider` for `provider: dns`."""

    def __init__(self) -> None:
        self._opened: dict[str, opening.Opened] = {}
        self._opening = asyncio.Lock()

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """See `interfaces.Provider`."""
        given = settings.read(place)
        own = given.provider in {settings.RFC2136, settings.POWERDNS}
        return target.Capabilities(
            watch=own,
            atomic=True,
            compare_and_set=True,
            native_plan=True,
            publishes=True,
            marks=target.Marks.TARGET,
            kind_order=(kinds.ZONE,),
            data_kinds=frozenset({kinds.ZONE}),
        )

    def load(
        self, rendered: interfaces.Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """See `interfaces.Provider`. Zones are named by files; there are no namespaces."""
        return loading.load(rendered, settings.read(place))

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """See `interfaces.Provider`: none."""
        return ""

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """See `interfaces.Provider`: zones."""
        return frozenset(kinds.zone_of(rid) for rid in ids)

    async def connect(self, place: target.Target, secrets: interfaces.SecretResolver) -> interfaces.Session:
        """See `interfaces.Provider`. Sessions of one target share what was seen."""
        key = canonical.digest([place.name, place.settings])
        async with self._opening:
            if key not in self._opened:
                self._opened[key] = await opening.opened(place, secrets)
        return DnsSession(self._opened[key])


class DnsSession:
    """Implements `interfaces.Session` on one name server."""

    def __init__(self, place: opening.Opened) -> None:
        self._place = place
        self._observer = observing.Observer(place)
        self._applier = applying.Applier(place)
        self._last: tuple[resource.DesiredState, resource.LiveState, inventory.Inventory] | None = None
        self._planned: previewing.Planned | None = None

    async def discover(self) -> target.Facts:
        """Rendering depends on nothing that a name server knows."""
        return target.NO_FACTS

    async def study(self, rendered: interfaces.Rendered) -> None:
        """Nothing has to be asked for."""

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        return await self._observer.observe(ids, owner)

    async def tidy(self, owner: inventory.Owner) -> None:
        """A mark goes out with the changes that it stands for: nothing is ever left over."""

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """See `interfaces.Session`: octoDNS' plan; the one before where nothing moved since."""
        last = self._last
        moved = (
            last is None
            or self._planned is None
            or last[0].resources is not situation.desired.resources
            or last[1].resources is not situation.live.resources
            or last[2].entries != situation.inventory.entries
        )
        if moved or self._planned is None or self._planned.previews.native:
            self._planned = await asyncio.to_thread(previewing.preview, self._place, situation)
            self._last = (situation.desired, situation.live, situation.inventory)
        self._applier.keep(self._planned, situation)
        return self._planned.previews

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        await self._applier.intend(changes, owner, revision)

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        await self._applier.apply(change, owner, revision)

    async def describe(self, change: plan.Change) -> str:
        """The fields say it all."""
        return ""

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """See `interfaces.Session`."""
        return watching.watch(self._place)

    async def survey(self, scope: str) -> finding.Survey:
        """See `interfaces.Surveyor`: a zone."""
        return await surveying.survey(self._place, scope)

    async def close(self) -> None:
        """Nothing is kept open."""
