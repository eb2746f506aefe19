"""What the Pods of a workload refer to by name, and where a manifest says what people ask about later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from undrift.model import resource
from undrift.providers.kubernetes import kinds

Steps = tuple[str | int, ...]
_Data = Mapping[str, Any]
_PODS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "CronJob.batch": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicaSet.apps", "Job.batch"),
        ("spec", "template", "spec"),
    ),
}
_CONTAINERS: Final = ("initContainers", "containers")
_ASKED: Final = ("image", "command", "args", "livenessProbe", "readinessProbe", "startupProbe")
_ACCOUNT: Final = "ServiceAccount"
_CONFIG_MAP: Final = "ConfigMap"
_MAKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "SealedSecret.bitnami.com": ("metadata", "name"),
    "ExternalSecret.external-secrets.io": ("spec", "target", "name"),
    "Certificate.cert-manager.io": ("spec", "secretName"),
}
"""Kinds whose controllers make a Secret, and the field that names it; without one it is called as they are."""
_ALWAYS: Final = frozenset({(_ACCOUNT, "default"), (_CONFIG_MAP, "kube-root-ca.crt")})


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A name of another object, and the steps that lead to it in the manifest (indexes for items of lists)."""

    id: resource.ResourceId
    steps: Steps


def references(rid: resource.ResourceId, data: _Data) -> Iterator[Reference]:
    """The ConfigMaps, Secrets and ServiceAccounts that Pods of a workload cannot begin without."""
    for kind, name, steps in _named(rid, data):
        if isinstance(name, str) and name and (kind, name) not in _ALWAYS:
            yield Reference(resource.ResourceId(kind, rid.namespace, name), steps)


def unsatisfied(
    wanted: Iterable[resource.Resource], desired: Mapping[resource.ResourceId, resource.Resource]
) -> Iterator[tuple[resource.Resource, Reference]]:
    """References of `wanted` that nothing declared here satisfies, nor makes."""
    known = {*desired, *_made(desired.values())}
    for one in wanted:
        for found in references(one.id, one.fields):
            if found.id not in known:
                yield one, found


def notable(rid: resource.ResourceId, data: _Data) -> Iterator[Steps]:
    """The fields whose place is worth keeping: what a Pod that is not well may have its cause in."""
    for found in references(rid, data):
        yield found.steps
    for steps, container in _containers(*_pod(rid, data)):
        yield steps
        yield from ((*steps, name) for name in _ASKED if name in container)
        if _at(container, "resources", "limits", "memory") is not None:
            yield (*steps, "resources", "limits", "memory")


def field(rid: resource.ResourceId, data: _Data, inner: str, reason: str) -> str:
    """The field of a workload that a reason is about: a container's, or the name of what is missing.

    `inner` begins with the name of a container; "" where the reason is about none.
    """
    for found in references(rid, data):
        if f'"{found.id.name}" not found' in reason:
            return written(data, found.steps)
    name, _, rest = inner.partition(".")
    for steps, container in _containers(*_pod(rid, data)):
        if container.get("name") == name:
            whole = written(data, steps)
            return f"{whole}.{rest}" if rest else whole
    return ""


def written(data: _Data, steps: Steps) -> str:
    """A path as plans show it: items of lists by their names where they have any."""
    shown: list[str] = []
    here: Any = data
    for step in steps:
        here = here[step]
        named = here.get("name") if isinstance(step, int) and isinstance(here, Mapping) else None
        shown.append(named if isinstance(named, str) else str(step))
    return ".".join(shown)


def _pod(rid: resource.ResourceId, data: _Data) -> tuple[Any, Steps]:
    steps = _PODS.get(rid.kind, ())
    return (_at(data, *steps), steps) if steps else (None, ())


def _named(rid: resource.ResourceId, data: _Data) -> Iterator[tuple[str, Any, Steps]]:
    """Kind, name and place of everything that is referred to."""
    pod, root = _pod(rid, data)
    if not isinstance(pod, Mapping):
        return
    yield _ACCOUNT, pod.get("serviceAccountName"), (*root, "serviceAccountName")
    for index, one in enumerate(_items(pod, "imagePullSecrets")):
        yield kinds.SECRET, one.get("name"), (*root, "imagePullSecrets", index, "name")
    for index, volume in enumerate(_items(pod, "volumes")):
        yield from _of_volume(volume, (*root, "volumes", index))
    for steps, container in _containers(pod, root):
        yield from _of_container(container, steps)


def _of_volume(volume: _Data, steps: Steps) -> Iterator[tuple[str, Any, Steps]]:
    for field, kind, key in (("configMap", _CONFIG_MAP, "name"), ("secret", kinds.SECRET, "secretName")):
        yield from _needed(volume.get(field), kind, key, (*steps, field))
    for index, part in enumerate(_items(volume.get("projected"), "sources")):
        for field, kind in (("configMap", _CONFIG_MAP), ("secret", kinds.SECRET)):
            yield from _needed(part.get(field), kind, "name", (*steps, "projected", "sources", index, field))


def _of_container(container: _Data, steps: Steps) -> Iterator[tuple[str, Any, Steps]]:
    for index, one in enumerate(_items(container, "envFrom")):
        for field, kind in (("configMapRef", _CONFIG_MAP), ("secretRef", kinds.SECRET)):
            yield from _needed(one.get(field), kind, "name", (*steps, "envFrom", index, field))
    for index, one in enumerate(_items(container, "env")):
        for field, kind in (("configMapKeyRef", _CONFIG_MAP), ("secretKeyRef", kinds.SECRET)):
            place = (*steps, "env", index, "valueFrom", field)
            yield from _needed(_at(one, "valueFrom", field), kind, "name", place)


def _needed(found: Any, kind: str, key: str, steps: Steps) -> Iterator[tuple[str, Any, Steps]]:
    if isinstance(found, Mapping) and found.get("optional") is not True:
        yield kind, found.get(key), (*steps, key)


def _containers(pod: Any, root: Steps) -> Iterator[tuple[Steps, _Data]]:
    for field in _CONTAINERS:
        for index, one in enumerate(_items(pod, field)):
            yield (*root, field, index), one


def _items(data: Any, field: str) -> list[_Data]:
    """The items of a list that are mappings; what is not stays at its index as an empty one."""
    found = data.get(field) if isinstance(data, Mapping) else None
    return [one if isinstance(one, Mapping) else {} for one in found] if isinstance(found, list) else []


def _at(data: Any, *steps: str) -> Any:
    for step in steps:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def _made(declared: Iterable[resource.Resource]) -> Iterator[resource.ResourceId]:
    for one in declared:
        steps = _MAKERS.get(one.id.kind)
        if steps is not None:
            name = _at(one.fields, *steps)
            called = name if isinstance(name, str) else one.id.name
            yield resource.ResourceId(kinds.SECRET, one.id.namespace, called)
