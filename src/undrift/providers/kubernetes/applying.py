"""One change, carried out and acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.model import inventory, plan, resource
from undrift.providers.kubernetes import (
    adopting,
    client,
    cluster,
    discovery,
    kinds,
    loading,
    marks,
    owned,
    writing,
)

_GONE_WITHIN: Final = 30.0
_SERVED_WITHIN: Final = 10.0
_PAUSE: Final = 0.2
_MERGE: Final = "application/merge-patch+json"


class Applier:
    """Changes for one session, made as `account`; what it is told in return goes to the mirror at once."""

    def __init__(self, shared: cluster.Cluster, account: str = "") -> None:
        self._cluster = shared
        self._account = account

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        if change.desired is None:
            live = change.live
            if live is not None:
                await (self._release(live) if change.action is plan.Action.RELEASE else self._delete(live))
            return
        if change.action is plan.Action.RECREATE and change.live is not None:
            await self._delete(change.live)
        new = change.action in (plan.Action.CREATE, plan.Action.RECREATE)
        uid = None if new or change.live is None else change.live.uid
        if change.action is plan.Action.ADOPT and change.live is not None:
            await adopting.take_over(self._cluster, change.live, self._account)
        await self._write(change, owner, revision, uid)

    async def _write(
        self, change: plan.Change, owner: inventory.Owner, revision: str, uid: str | None
    ) -> None:
        wanted = change.desired
        if wanted is None:
            raise errors.InternalError("nothing to write")
        kind = await self._kind(wanted.id)
        before = await self._cluster.find(wanted.id) if wanted.left and uid else None
        by = writing.mark(wanted, owner, revision, change.fingerprint)
        with self._cluster.mirror.writing(wanted.id):
            given = writing.body(wanted, by, uid, before)
            answer = await writing.apply(self._cluster.api, kind, wanted.id, given, account=self._account)
            self._cluster.mirror.applied(wanted, answer)

    async def _kind(self, rid: resource.ResourceId) -> discovery.Api:
        """The kind of a resource; one that was defined a moment ago is waited for."""
        end = asyncio.get_running_loop().time() + _SERVED_WITHIN
        served = await self._cluster.served()
        while rid.kind not in served.kinds and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_PAUSE)
            served = await self._cluster.served(anew=True)
        await self._cluster.follow({rid.kind})
        return served.find(rid)

    async def _delete(self, live: resource.LiveResource) -> None:
        """Delete the very resource that was seen, and wait until it is gone."""
        kind = (await self._cluster.served()).find(live.id)
        path = kind.path(namespace=live.id.namespace, name=live.id.name)
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": _propagation(live),
            "preconditions": {"uid": live.uid},
        }
        with self._cluster.mirror.writing(live.id):
            answer = await self._cluster.api.forget(path, options, f"deleting {live.id}", self._account)
            if answer is not None and _is_leaving(answer, live.uid):
                await self._until_gone(live)
            self._cluster.mirror.forget(live.id)

    async def _until_gone(self, live: resource.LiveResource) -> None:
        """Raises `TargetBusy`, which names what the resource waits for."""
        end = asyncio.get_running_loop().time() + _GONE_WITHIN
        pause = 0.05
        while True:
            found = await self._cluster.find(live.id)
            if found is None or found["metadata"].get("uid") != live.uid:
                return
            if asyncio.get_running_loop().time() + pause > end:
                raise _stuck(live.id, found["metadata"])
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.7)

    async def _release(self, live: resource.LiveResource) -> None:
        """Take our marks off; everything else stays as it is."""
        kind = (await self._cluster.served()).find(live.id)
        gone = {"labels": {marks.LABEL: None}, "annotations": {marks.ANNOTATION: None}}
        request = client.Request(
            "PATCH",
            kind.path(namespace=live.id.namespace, name=live.id.name),
            f"releasing {live.id}",
            params={"fieldManager": owned.MANAGER},
            body=orjson.dumps({"metadata": {**gone, "uid": live.uid}}),
            content=_MERGE,
            account=self._account,
        )
        await self._cluster.api.send(request)
        self._cluster.mirror.forget(live.id)


def _propagation(live: resource.LiveResource) -> str:
    """What becomes of what a controller made of it: deleted after it, before it, or left."""
    metadata = live.fields.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    wanted = annotations.get(loading.PROPAGATION) if isinstance(annotations, Mapping) else None
    return wanted if wanted in loading.PROPAGATIONS else loading.PROPAGATIONS[0]


def _is_leaving(answer: Any, uid: str) -> bool:
    """Whether what was deleted is still there; a `Status` in its place says that it is gone."""
    if not isinstance(answer, Mapping):
        return True
    metadata = answer.get("metadata") or {}
    return answer.get("kind") != "Status" or bool(metadata.get("uid") == uid)


def _stuck(rid: resource.ResourceId, metadata: Mapping[str, Any]) -> errors.TargetBusy:
    finalizers = metadata.get("finalizers") or []
    waits = f"it waits for {', '.join(finalizers)}" if finalizers else "what runs of it has not ended"
    if rid.kind == kinds.NAMESPACE:
        waits = "what is in it has not gone yet"
    return errors.TargetBusy(
        f"{rid} is being deleted and still there",
        why=waits,
        hint="see who serves that finalizer; nothing to do if it ends by itself"
        if finalizers
        else "nothing to do if it ends by itself",
    )
