"""One look at a cluster: from the mirror, and by asking only for what bears no mark of ours."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import tasks
from undrift.model import inventory, resource
from undrift.providers.kubernetes import cluster, discovery, explaining

_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_RECENT: Final = 2.0
_HELD: Final = 60.0
_SINGLE: Final = 8
_MOST: Final = 5_000


@dataclasses.dataclass(slots=True)
class _Asked:
    """What was asked of one kind lately, by the event loop's clock."""

    times: collections.deque[float] = dataclasses.field(default_factory=collections.deque)
    names: frozenset[tuple[str, str]] | None = None
    listed: float = float("-inf")
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)


class Strangers:
    """Tells whether something exists that the watches do not show: it bears no mark, or none yet.

    A few are asked for one by one. When many are asked for within seconds, as when a thousand applications
    are new, the names of the whole kind are listed instead, and hold for a minute: a list of thousands costs
    the API server more than applying some of them. What comes to be in the meantime is not lost: a create is
    refused where something of that name is, and whoever is refused calls `forget`.
    """

    def __init__(self, shared: cluster.Cluster) -> None:
        self._cluster = shared
        self._kinds: dict[str, _Asked] = collections.defaultdict(_Asked)

    async def find(self, ids: Collection[resource.ResourceId]) -> Mapping[resource.ResourceId, Any]:
        """Those of `ids` that exist. Raises a `TargetError` when that cannot be known."""
        by_kind: dict[str, list[resource.ResourceId]] = collections.defaultdict(list)
        for rid in ids:
            by_kind[rid.kind].append(rid)
        suspects: list[resource.ResourceId] = []
        for kind, some in by_kind.items():
            suspects += await self._suspects(kind, some)
        found = await tasks.together(self._cluster.find(rid) for rid in suspects)
        return {rid: data for rid, data in zip(suspects, found, strict=True) if data is not None}

    def forget(self, kind: str) -> None:
        """What was listed of a kind is known to be out of date."""
        self._kinds[kind].listed = float("-inf")

    async def _suspects(self, kind: str, ids: list[resource.ResourceId]) -> list[resource.ResourceId]:
        asked = self._kinds[kind]
        async with asked.lock:
            now = asyncio.get_running_loop().time()
            while asked.times and asked.times[0] < now - _RECENT:
                asked.times.popleft()
            asked.times.extend([now] * len(ids))
            if len(asked.times) <= _SINGLE:
                return ids
            if now - asked.listed > _HELD:
                asked.names, asked.listed = await self._list(kind), now
            if asked.names is None:
                return ids
            return [rid for rid in ids if (rid.namespace, rid.name) in asked.names]

    async def _list(self, kind: str) -> frozenset[tuple[str, str]] | None:
        """The names of a whole kind; None when they are too many, or not for us to see."""
        served = (await self._cluster.served()).kinds.get(kind)
        if served is None:
            return frozenset()
        try:
            page = await self._cluster.api.get(served.path(), {"limit": str(_MOST)}, accept=_METADATA)
        except (errors.TargetDenied, errors.ChangeRefused):
            return None
        if page["metadata"].get("continue"):
            return None
        told = (item["metadata"] for item in page.get("items") or ())
        return frozenset((one.get("namespace", ""), one["name"]) for one in told)


class Observer:
    """Looks for one session; what is common to all of a target is the cluster's."""

    def __init__(
        self, shared: cluster.Cluster, strangers: Strangers, explainer: explaining.Explainer
    ) -> None:
        self._cluster = shared
        self._strangers = strangers
        self._explainer = explainer

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        served = await self._cluster.served()
        self._check(ids, served)
        unwatched = await self._cluster.follow({rid.kind for rid in ids if rid.kind in served.kinds})
        mirror = self._cluster.mirror
        found: dict[resource.ResourceId, resource.LiveResource] = {}
        missing: list[resource.ResourceId] = []
        for rid in ids:
            if rid.kind not in served.kinds:
                continue
            seen = mirror.get(rid) if rid.kind not in unwatched else None
            if seen is not None:
                found[rid] = mirror.live(seen)
            else:
                missing.append(rid)
        marked = list(mirror.owned(owner))
        self._check(marked, served)
        for rid in marked:
            # What a definition took with it is not told by a watch that ended with it.
            if rid not in found and rid.kind in served.kinds and (seen := mirror.get(rid)) is not None:
                found[rid] = mirror.live(seen)
        if missing:
            for rid, data in (await self._strangers.find(missing)).items():
                found[rid] = mirror.live(mirror.take(rid, data))
        return resource.LiveState(await self._explainer.explain(found), untold=bool(unwatched))

    def _check(self, ids: Collection[resource.ResourceId], served: discovery.Apis) -> None:
        """A kind whose API group does not answer is not gone."""
        for rid in ids:
            if rid.kind not in served.kinds and rid.kind.partition(".")[2] in served.stale:
                served.find(rid)
