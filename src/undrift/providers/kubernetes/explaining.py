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
from undrift.lib import tasks
from undrift.model import health, resource
from undrift.providers.kubernetes import cluster, referring

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
class Cause:
    """Why something is not well, and the field of its declaration that the reason is about ("" = none)."""

    reason: str = ""
    field: str = ""


_NO_CAUSE: Final = Cause()


@dataclasses.dataclass(frozen=True, slots=True)
class _Told:
    """What was found out, when (by the event loop's clock), and about which state."""

    about: tuple[int, str]
    cause: Cause
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
        causes = await tasks.together(self._cause(one) for one in ill)
        explained = {
            one.id: dataclasses.replace(one, health=_better(one.health, cause))
            for one, cause in zip(ill, causes, strict=True)
            if cause.reason
        }
        return {**found, **explained}

    async def _cause(self, one: resource.LiveResource) -> Cause:
        now = asyncio.get_running_loop().time()
        if one.health.status is health.Status.PROGRESSING and not self._lasts(one.id, now):
            return _NO_CAUSE
        seen = self._cluster.mirror.get(one.id)
        about = (seen.version if seen is not None else 0, one.health.reason)
        known = self._told.get(one.id)
        if known is not None and known.about == about and now - known.at < _WAIT:
            return known.cause
        async with self._gate:
            try:
                cause = await self._ask(one.id)
            except errors.UndriftError:
                cause = known.cause if known is not None else _NO_CAUSE
        self._told[one.id] = _Told(about, cause, now)
        while len(self._told) > _KEPT:
            self._told.popitem(last=False)
        return cause

    def _lasts(self, rid: resource.ResourceId, now: float) -> bool:
        """Whether it has been in progress for long enough to ask why: most things just need a moment."""
        first = self._since.pop(rid, now)
        if now - first > _FORGOTTEN:
            first = now
        self._since[rid] = first
        while len(self._since) > _KEPT:
            self._since.popitem(last=False)
        return now - first >= _MOMENT

    async def _ask(self, rid: resource.ResourceId) -> Cause:
        """The first cause that can be found, the plainest ones first."""
        data = await self._cluster.find(rid)
        if data is None:
            return _NO_CAUSE
        pods = await self._pods(rid, data)
        for pod in pods:
            found = await self._of_pod(pod)
            if found.reason:
                return dataclasses.replace(found, field=referring.field(rid, data, found.field, found.reason))
        return Cause(await self._of_events(rid, data)) if not pods else _NO_CAUSE

    async def _pods(self, rid: resource.ResourceId, data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        labels = ((data.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        if not labels:
            return []
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        path = f"/api/v1/namespaces/{rid.namespace}/pods"
        page = await self._cluster.api.get(path, {"labelSelector": selector, "limit": _PODS})
        pods = [one for one in page.get("items") or () if not _is_well(one)]
        return sorted(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")), reverse=True)

    async def _of_pod(self, pod: Mapping[str, Any]) -> Cause:
        """`field` is relative to the Pod's spec here."""
        name, status = pod["metadata"]["name"], pod.get("status") or {}
        for one in _conditions(status):
            if one.get("type") == "PodScheduled" and one.get("status") == "False":
                return Cause(f"{name} cannot be scheduled: {one.get('message') or one.get('reason')}")
        for container in _containers(status):
            found = _of_container(container, pod)
            if found.reason:
                return Cause(f"{name}: {found.reason}{await self._log(pod, container)}", found.field)
        said = await self._of_events(resource.ResourceId("Pod", pod["metadata"]["namespace"], name), pod)
        return Cause(said, _probed(said, pod))

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


def _better(found: health.Health, cause: Cause) -> health.Health:
    """Some reasons do not go away by waiting."""
    grave = any(sign in cause.reason for sign in _GRAVE)
    status = health.Status.DEGRADED if grave else found.status
    return health.Health(status, f"{found.reason}; {cause.reason}", cause.field)


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


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Cause:
    """What is wrong with one container."""
    name, image = container.get("name"), container.get("image")
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    ended = _ended(container)
    if reason in {"ImagePullBackOff", "ErrImagePull", "InvalidImageName"}:
        said = f"the image {image} of {name} cannot be pulled ({reason}): {message}".rstrip(": ")
        return Cause(said, f"{name}.image")
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod, name)
        said = f"{name} was killed for using more memory than its limit{f' of {limit}' if limit else ''} (OOMKilled)"
        return Cause(said, f"{name}.resources.limits.memory")
    if ended and ended.get("exitCode"):
        again = f" and is started again ({reason})" if reason else ""
        return Cause(f"{name} ended with exit code {ended['exitCode']}{again}", str(name))
    if reason and reason not in {"ContainerCreating", "PodInitializing"}:
        return Cause(f"{name} waits ({reason}): {message}".rstrip(": "), str(name))
    return _NO_CAUSE


def _limit(pod: Mapping[str, Any], name: Any) -> str:
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("name") == name:
            return str(((container.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


_PROBES: Final = {"Liveness": "livenessProbe", "Readiness": "readinessProbe", "Startup": "startupProbe"}


def _probed(said: str, pod: Mapping[str, Any]) -> str:
    """The probe that an event is about, where one container has such a probe."""
    probe = next((field for word, field in _PROBES.items() if f"{word} probe" in said), "")
    having = [
        one["name"] for one in (pod.get("spec") or {}).get("containers") or () if probe and one.get(probe)
    ]
    return f"{having[0]}.{probe}" if len(having) == 1 else ""


def _when(event: Mapping[str, Any]) -> str:
    return str(
        event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )
