"""The provider `kubernetes`: one cluster a target, shared by all of its sessions."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import agent, finding, inventory, plan, resource, target
from undrift.providers.kubernetes import (
    applying,
    client,
    cluster,
    discovery,
    explaining,
    failing,
    granting,
    installing,
    kinds,
    loading,
    observing,
    previewing,
    settings,
    surveying,
    telling,
)

_CONCURRENCY = 8


class KubernetesProvider:
    """Implements `interfaces.Provider` for `provider: kubernetes`."""

    def __init__(self) -> None:
        self._clusters: dict[str, Shared] = {}
        self._counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """See `interfaces.Provider`."""
        return _CAPABILITIES

    def load(
        self, rendered: interfaces.Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """See `interfaces.Provider`."""
        values = facts.values
        return loading.load(
            rendered, values.get("apis") or discovery.Apis({}), namespace, values.get("schemas")
        )

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """See `interfaces.Provider`: ClusterRoles."""
        return granting.roles(name, facts.values.get("apis") or discovery.Apis({}), wanted)

    def installation(self, given: agent.Installation) -> tuple[Sequence[Mapping[str, Any]], str]:
        """See `interfaces.Installer`."""
        return installing.documents(given), installing.credentials(given)

    def requests(self, place: target.Target) -> Mapping[str, int]:
        """See `interfaces.Counter`: by verb; a watch is one request however long it lasts."""
        return dict(self._counts[place.name])

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """Every resource stands alone."""
        return frozenset()

    async def connect(self, place: target.Target, secrets: interfaces.SecretResolver) -> interfaces.Session:
        """See `interfaces.Provider`."""
        settings.read(place)
        key = _key(place)
        known = self._clusters.get(key)
        if known is None:
            known = self._clusters[key] = Shared(place, secrets, self._forget, self._counts[place.name])
        known.users += 1
        try:
            return KubernetesSession(known, place, await known.cluster())
        except BaseException:
            await known.leave()
            raise

    def _forget(self, shared: Shared) -> None:
        """Whoever comes next opens it anew, with the credentials as they are then."""
        for key, known in list(self._clusters.items()):
            if known is shared:
                del self._clusters[key]


class Shared:
    """One cluster while anybody uses it; opened by whoever comes first."""

    def __init__(
        self,
        place: target.Target,
        secrets: interfaces.SecretResolver,
        forget: Callable[[Shared], None],
        counts: collections.Counter[str],
    ) -> None:
        self._place = place
        self._secrets = secrets
        self._counts = counts
        self._forget = functools.partial(forget, self)
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self.users = 0

    async def leave(self) -> None:
        """A session ended; with the last one the connection does."""
        self.users -= 1
        if not self.users:
            self._forget()
            await self.close()

    async def cluster(self) -> Opened:
        """The cluster, reached and swept. Raises what stands in the way."""
        async with self._opening:
            if self._opened is None:
                connection = await settings.connection(self._place, self._secrets)
                given = settings.read(self._place)
                api = client.Client(connection, given.connections, self._forget)
                api.counts = self._counts
                made = cluster.Cluster(self._place.name, api, given.health)
                try:
                    await made.open()
                except BaseException:
                    await made.close()
                    raise
                self._opened = Opened(made, observing.Strangers(made), explaining.Explainer(made))
            return self._opened

    async def close(self) -> None:
        """Nobody uses it any more."""
        if self._opened is not None:
            await self._opened.cluster.close()
            self._opened = None


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """What sessions share."""

    cluster: cluster.Cluster
    strangers: observing.Strangers
    explainer: explaining.Explainer


class KubernetesSession:
    """Implements `interfaces.Session`; light, for all that is costly is shared."""

    def __init__(self, shared: Shared, place: target.Target, opened: Opened) -> None:
        self._shared = shared
        self._cluster = opened.cluster
        self._strangers = opened.strangers
        self._observer = observing.Observer(opened.cluster, opened.strangers, opened.explainer)
        self._previewer = previewing.Previewer(opened.cluster, place.account)
        self._applier = applying.Applier(opened.cluster, place.account)
        self._closed = False

    async def discover(self) -> target.Facts:
        """See `interfaces.Session`."""
        return await self._cluster.facts()

    async def study(self, rendered: interfaces.Rendered) -> None:
        """See `interfaces.Session`: the schemas of the kinds that are declared."""
        await self._cluster.schemas.learn(loading.kinds_of(rendered))

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        return await self._observer.observe(ids, owner)

    async def tidy(self, owner: inventory.Owner) -> None:
        """A death leaves nothing behind: each change is one request, which carries its own mark."""

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """See `interfaces.Session`."""
        try:
            return await self._previewer.preview(situation)
        except errors.UndriftError as error:
            await self._ask_anew(error)
            raise

    async def _ask_anew(self, error: errors.UndriftError) -> None:
        """Where something is not served any more, the next look is to know what is."""
        if any(isinstance(one, failing.Unserved) for one in error.parts):
            with contextlib.suppress(errors.TargetError):
                await self._cluster.served(anew=True)

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """Marks are on the resources themselves."""

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        try:
            await self._applier.apply(change, owner, revision)
        except errors.ChangeConflict:
            self._strangers.forget(change.id.kind)
            raise
        except failing.Unserved as error:
            await self._ask_anew(error)
            raise

    async def describe(self, change: plan.Change) -> str:
        """The fields say it all."""
        return ""

    async def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """See `interfaces.Session`: whatever changed on the cluster without us, as soon as it is told."""
        mirror = self._cluster.mirror
        hints = mirror.listen()
        try:
            while True:
                found = [await hints.get()]
                while not hints.empty():
                    found.append(hints.get_nowait())
                for one in found:
                    if isinstance(one, errors.UndriftError):
                        raise one
                yield frozenset(one for one in found if isinstance(one, resource.ResourceId))
        finally:
            mirror.stop(hints)

    async def tell(
        self, wanted: Mapping[resource.ResourceId, Collection[str]]
    ) -> Mapping[resource.ResourceId, resource.Fields]:
        """See `interfaces.Teller`: one request each, since the mirror keeps no more than it has to."""
        found: dict[resource.ResourceId, resource.Fields] = {}
        for rid, paths in wanted.items():
            data = await self._cluster.find(rid)
            if data is not None:
                self._cluster.mirror.show(rid, paths, data)
                found[rid] = telling.whole(rid, data)
        return found

    async def survey(self, scope: str) -> finding.Survey:
        """See `interfaces.Surveyor`: a namespace."""
        return await surveying.survey(self._cluster, scope)

    async def close(self) -> None:
        """See `interfaces.Session`."""
        if not self._closed:
            self._closed = True
            await self._shared.leave()


def _key(place: target.Target) -> str:
    return canonical.digest([place.name, place.settings])


_CAPABILITIES: Final = target.Capabilities(
    watch=True,
    dry_run=True,
    compare_and_set=False,  # fields that we declare are taken back from whoever wrote them last, even just now
    partial=True,
    accounts=True,
    yields_to=kinds.AUTOSCALERS,
    tells_health=True,
    kind_order=kinds.ORDER,
    kind_last=kinds.LATE,
    data_kinds=kinds.DATA,
    concurrency=_CONCURRENCY,
    instant=kinds.INSTANT,
)
