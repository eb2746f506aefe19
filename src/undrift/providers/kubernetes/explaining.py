"""Why a workload is not well, as a person would say it: from its Pods, their events and the end of their logs.

These are read only for what is not healthy, and only once for each state that it is in.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.model import health, resource
from undrift.providers.kubernetes import cluster

_WORKLOADS: Final = frozenset(
    {"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch"}
)
_PODS: Final = "50"
_LINES: Final = "5"
_LONGEST: Final = 400
_KEPT: Final = 2000
_AT_ONCE: Final = 4
_WAIT: Final = 15.0
_MOMENT: Final = 3.0
_FORGOTTEN: Final = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    """What was found out, when (by the event loop's clock), and about which state."""

    about: tuple[int, str]
    reason: str
    at: float


class Explainer:
    """Finds reasons for one cluster."""

    def __init__(self, shared: cluster.Cluster) -> None:
        self._cluster = shared
        self._told: collections.OrderedDict[resource.ResourceId, _Told] = collections.OrderedDict()
        self._since: collections.OrderedDict[resource.ResourceId, float] = collections.OrderedDict()
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def explain(
        self, found: Mapping[resource.ResourceId, resource.LiveResource]
    ) -> dict[resource.ResourceId, resource.LiveResource]:
        """The same look, with reasons for what is not healthy. Never raises: a reason is welcome, not needed."""
        ill = [one for one in found.values() if one.id.kind in _WORKLOADS and _is_ill(one.health)]
        if not ill:
            return dict(found)
        reasons = await asyncio.gather(*(self._reason(one) for one in ill))
        explained = {
            one.id: dataclasses.replace(one, health=_better(one.health, reason))
            for one, reason in zip(ill, reasons, strict=True)
            if reason
        }
        return {**found, **explained}

    async def _reason(self, one: resource.LiveResource) -> str:
        now = asyncio.get_running_loop().time()
        if one.health.status is health.Status.PROGRESSING and not self._lasts(one.id, now):
            return ""
        seen = self._cluster.mirror.get(one.id)
        about = (seen.version if seen is not None else 0, one.health.reason)
        known = self._told.get(one.id)
        if known is not None and known.about == about and now - known.at < _WAIT:
            return known.reason
        async with self._gate:
            try:
                reason = await self._ask(one.id)
            except errors.UndriftError:
                reason = known.reason if known is not None else ""
        self._told[one.id] = _Told(about, reason, now)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)
        return reason

    def _lasts(self, rid: resource.ResourceId, now: float) -> bool:
        """Whether it has been in progress for long enough to ask why: most things just need a moment."""
        first = self._since.pop(rid, now)
        if now - first > _FORGOTTEN:
            first = now
        self._since[rid] = first
        while len(self._since) > _KEPT:
            self._since.popitem(last=False)
        return now - first >= _MOMENT

    async def _ask(self, rid: resource.ResourceId) -> str:
        """The first reason that can be found, the plainest ones first."""
        data = await self._cluster.find(rid)
        if data is None:
            return ""
        pods = await self._pods(rid, data)
        for pod in pods:
            said = await self._of_pod(pod)
            if said:
                return said
        return await self._of_events(rid, data) if not pods else ""

    async def _pods(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        labels = ((data.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            return []
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        path = f"/api/v1/namespaces/{rid.namespace}/pods"
        page = await self._cluster.api.get(path, {"labelSelector": selector, "limit": _PODS})
        pods = [one for one in page.get("items") or () if not _is_well(one)]
        return sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")), reverse=True)

    async def _of_pod(self, pod: Mapping[str, Any]) -> str:
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        for one in _conditions(status):
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return f"{name} cannot be scheduled: {one.get('message') or one.get('reason')}"
        for container in _containers(status):
            said = _of_container(container)
            if said:
                return f"{name}: {said}{await self._log(pod, container)}"
        return await self._of_events(resource.ResourceId("Pod", pod["metadata"]["namespace"], name), pod)

    async def _log(self, pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
        """The last lines of a container that ended, where it did."""
        if not _ended(container):
            return ""
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        params = {"container": str(container.get("name")), "tailLines": _LINES}
        if not (container.get("state") or {}).get("terminated"):
            params["previous"] = "true"
        try:
            text = await self._cluster.api.get(f"/api/v1/namespaces/{space}/pods/{name}/log", params)
        except errors.UndriftError:
            return ""
        said = str(text).strip()[-_LONGEST:]
        return f"; it said: {said}" if said else ""

    async def _of_events(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> str:
        """The newest warning about a resource, or about what a controller makes of it."""
        uid = data["metadata"].get("uid", "")
        path = f"/api/v1/namespaces/{rid.namespace}/events"
        owned = [uid, *await self._children(rid, data)]
        for each in owned:
            params = {"fieldSelector": f"involvedObject.uid={each},type=Warning", "limit": _PODS}
            page = await self._cluster.api.get(path, params)
            events = sorted(page.get("items") or (), key=_when)
            if events:
                return f"{events[-1].get('reason')}: {events[-1].get('message')}"
        return ""

    async def _children(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> list[str]:
        """The ReplicaSets of a Deployment: they are the ones who are refused Pods."""
        if rid.kind != "Deployment.apps":
            return []
        page = await self._cluster.api.get(
            f"/apis/apps/v1/namespaces/{rid.namespace}/replicasets", {"limit": _PODS}
        )
        uid = data["metadata"].get("uid")
        return [
            one["metadata"]["uid"]
            for one in page.get("items") or ()
            if any(owner.get("uid") == uid for owner in one["metadata"].get("ownerReferences") or ())
            and (one.get("spec") or {}).get("replicas")
        ]


def _is_ill(found: health.Health) -> bool:
    return found.status in (health.Status.DEGRADED, health.Status.PROGRESSING)


def _better(found: health.Health, reason: str) -> health.Health:
    """Some reasons do not go away by waiting."""
    grave = any(sign in reason for sign in _GRAVE)
    return health.Health(health.Status.DEGRADED if grave else found.status, f"{found.reason}; {reason}")


_GRAVE: Final = (
    "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CrashLoopBackOff", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError", "OOMKilled", "exceeded quota", "denied the request",
)  # fmt: skip


def _is_well(pod: Mapping[str, Any]) -> bool:
    status = pod.get("status") or {}
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in _conditions(status))
    return ready or status.get("phase") == "Succeeded"


def _conditions(status: Mapping[str, Any]) -> Collection[Mapping[str, Any]]:
    return status.get("conditions") or ()


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for part in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from status.get(part) or ()


def _ended(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """How a container ended last; empty when it never did."""
    for state in ("state", "lastState"):
        found = (container.get(state) or {}).get("terminated")
        if found:
            return dict(found)
    return {}


def _of_container(container: Mapping[str, Any]) -> str:
    """What is wrong with one container."""
    name, image = container.get("name"), container.get("image")
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    ended = _ended(container)
    if reason in {"ImagePullBackOff", "ErrImagePull", "InvalidImageName"}:
        return f"the image {image} of {name} cannot be pulled ({reason}): {message}".rstrip(": ")
    if ended.get("reason") == "OOMKilled":
        return f"{name} was killed for using more memory than its limit (OOMKilled)"
    if ended and ended.get("exitCode"):
        again = f" and is started again ({reason})" if reason else ""
        return f"{name} ended with exit code {ended['exitCode']}{again}"
    if reason and reason not in {"ContainerCreating", "PodInitializing"}:
        return f"{name} waits ({reason}): {message}".rstrip(": ")
    return ""


def _when(event: Mapping[str, Any]) -> str:
    return str(
        event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )
