"""What all sessions on one target share: the client, what is served, the mirror and its watches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.lib import canonical, tasks
from undrift.model import resource, target
from undrift.providers.kubernetes import (
    client,
    discovery,
    expressions,
    kinds,
    marks,
    mirror,
    schemas,
    watching,
)

_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_SINGLE: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_FEW: Final = "20"
_SETTLED: Final = 0.2
_AGAIN: Final = 10.0
_NEVER_OURS: Final = frozenset(
    {
        "Event",
        "Event.events.k8s.io",
        "Lease.coordination.k8s.io",
        "EndpointSlice.discovery.k8s.io",
        "Endpoints",
    }
)
_WATCHED: Final = (kinds.DEFINITION, "APIService.apiregistration.k8s.io")


class Cluster:
    """Opened with the first session, closed with the last one."""

    def __init__(
        self, name: str, api: client.Client, rules: Mapping[str, expressions.Rule] | None = None
    ) -> None:
        self.name = name
        self.api = api
        self.mirror = mirror.Mirror(rules)
        self.schemas = schemas.Schemas(api)
        self.users = 0
        self._watches: dict[str, watching.Watch] = {}
        self._apis: discovery.Apis | None = None
        self._facts = target.NO_FACTS
        self._asking = asyncio.Lock()
        self._swept = False
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """See what is served, and find everything that bears our mark. Raises a `TargetError`."""
        await self.served()
        async with self._asking:
            if not self._swept:
                await self._sweep()
                self._swept = True
                self._tasks = [asyncio.create_task(self._follow(kind)) for kind in _WATCHED]

    async def close(self) -> None:
        """End the watches and give the connections back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for watch in self._watches.values():
            await watch.close()
        self._watches.clear()
        await self.api.close()

    async def served(self, *, anew: bool = False) -> discovery.Apis:
        """What the cluster serves; asked once, and again when a definition came or went."""
        found = self._apis
        if found is not None and not anew:
            return found
        async with self._asking:
            if self._apis is found:
                self._apis = await discovery.discover(self.api)
                self.schemas.forget()
                self._facts = _facts(self._apis, self.schemas)
                await self._end_stale()
            return self._apis or discovery.Apis({})

    async def facts(self) -> target.Facts:
        """What rendering may depend on."""
        await self.served()
        return self._facts

    async def follow(self, names: Collection[str]) -> frozenset[str]:
        """See that kinds are watched; returns those that cannot be, and have to be looked at one by one."""
        served = await self.served()
        for name in names:
            kind = served.kinds.get(name)
            if kind is not None and kind.watchable and name not in self._watches:
                self._watches[name] = watching.Watch(self.api, kind, self.mirror)
        unwatched: set[str] = set()
        for name in names:
            watch = self._watches.get(name)
            if watch is not None and not watch.fresh.is_set():
                await watch.ready()
            if watch is None or watch.denied:
                unwatched.add(name)
        return frozenset(unwatched)

    async def _end_stale(self) -> None:
        """No watch goes on where its kind is not served any more; `follow` makes another when it is again."""
        for name, watch in list(self._watches.items()):
            kind = self._known.kinds.get(name)
            if kind is None or kind.path() != watch.path:
                del self._watches[name]
                await watch.close()

    async def find(self, rid: resource.ResourceId) -> Any | None:
        """A resource as it is now; None when it does not exist. Raises when that cannot be known."""
        kind = (await self.served()).kinds.get(rid.kind)
        if kind is None:
            return None
        return await self.api.find(kind.path(namespace=rid.namespace, name=rid.name))

    async def exists(self, rid: resource.ResourceId) -> bool:
        """Whether there is such a resource, without looking into it. Raises when that cannot be known."""
        kind = (await self.served()).kinds.get(rid.kind)
        if kind is None:
            return False
        path = kind.path(namespace=rid.namespace, name=rid.name)
        return await self.api.find(path, accept=_SINGLE) is not None

    async def _sweep(self) -> None:
        """Watch every kind of which something bears our mark: all that a new database needs to know."""
        wanted = [
            kind for kind in self._known.kinds.values() if kind.watchable and kind.name not in _NEVER_OURS
        ]
        found = await tasks.together(self._marked(kind) for kind in wanted)
        await self.follow([kind.name for kind, some in zip(wanted, found, strict=True) if some])

    @property
    def _known(self) -> discovery.Apis:
        """What was served when it was asked for last."""
        return self._apis or discovery.Apis({})

    async def _marked(self, kind: discovery.Api) -> bool:
        try:
            page = await self.api.get(
                kind.path(), {"labelSelector": marks.LABEL, "limit": _FEW}, accept=_METADATA
            )
        except (errors.TargetDenied, errors.ChangeRefused):
            return False
        return any(_is_own(kind, item) for item in page.get("items") or ())

    async def _follow(self, name: str) -> None:
        """Ask anew what is served whenever a definition comes, changes or goes."""
        version = ""
        begun = False
        while True:
            kind = self._known.kinds.get(name)
            if kind is None:
                return
            try:
                if not version:
                    version = await self._present(kind)
                    if begun:
                        await self.served(anew=True)
                begun = True
                async for present in self._changes(kind, version):
                    version = present
            except errors.TargetDenied:
                return
            except errors.UndriftError:
                await asyncio.sleep(_AGAIN)

    async def _present(self, kind: discovery.Api) -> str:
        """The version of a whole kind, to watch it from there."""
        page = await self.api.get(kind.path(), {"limit": "1"}, accept=_METADATA)
        return str(page["metadata"]["resourceVersion"])

    async def _changes(self, kind: discovery.Api, version: str) -> AsyncIterator[str]:
        """Where a watch of definitions stands, again and again; "" where it cannot go on."""
        params = {"resourceVersion": version, "allowWatchBookmarks": "true"}
        async with contextlib.aclosing(self.api.watch(kind.path(), params)) as lines:
            async for line in lines:
                if not line:
                    continue
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    await asyncio.sleep(_SETTLED)
                    yield ""
                    return
                if event["type"] != "BOOKMARK":
                    await asyncio.sleep(_SETTLED)
                    await self.served(anew=True)
                yield str(event["object"]["metadata"]["resourceVersion"])


def _is_own(kind: discovery.Api, item: Any) -> bool:
    metadata = item.get("metadata") or {}
    mark = marks.read(metadata)
    return mark is not None and mark.names == resource.ResourceId(
        kind.name, metadata.get("namespace", ""), metadata.get("name", "")
    )


def _facts(served: discovery.Apis, known: schemas.Schemas) -> target.Facts:
    listed: Iterable[tuple[str, str, bool, tuple[str, ...]]] = sorted(
        (one.name, one.plural, one.namespaced, one.versions) for one in served.kinds.values()
    )
    values = {"version": served.version, "apis": served, "apiVersions": served.listed(), "schemas": known}
    return target.Facts(values, canonical.digest([served.version, [list(one) for one in listed]]))
