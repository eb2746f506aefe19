"""What runs in a namespace already, as the manifests that somebody could have written for it.

What a person or a tool declared is taken from what the API server remembers of it (`last-applied-configuration`, or
the fields of a server-side apply), with the values as they are now. Where it remembers nothing, everything is taken
but what the server, controllers and defaults put there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from undrift import errors
from undrift.lib import tasks, words
from undrift.model import finding, resource
from undrift.providers.kubernetes import adopting, cluster, discovery, kinds, marks, owned

_GROUPS: Final = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of")
_NEVER: Final = frozenset(
    {"Event", "Event.events.k8s.io", "Endpoints", "EndpointSlice.discovery.k8s.io", "Lease.coordination.k8s.io",
     "ControllerRevision.apps", "PodMetrics.metrics.k8s.io", "ReplicaSet.apps"}
)  # fmt: skip
_MADE: Final = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
_NOISE: Final = re.compile(
    r"(deployment\.kubernetes\.io/revision|kubectl\.kubernetes\.io/|pv\.kubernetes\.io/|volume(\.beta)?\.kubernetes\.io/"
    r"|(batch\.kubernetes\.io/)?controller-uid|(batch\.kubernetes\.io/)?job-name|batch\.kubernetes\.io/job-tracking"
    r"|undrift\.dev/)"
)
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"),
    "PersistentVolumeClaim": ("volumeName",),
    "Pod": ("nodeName",),
}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "apiVersion": "v1", "dnsPolicy": "ClusterFirst", "divisor": "0", "failureThreshold": 3, "periodSeconds": 10,
    "internalTrafficPolicy": "Cluster", "progressDeadlineSeconds": 600, "protocol": "TCP",
    "restartPolicy": "Always", "revisionHistoryLimit": 10, "scheduler": None, "schedulerName": "default-scheduler",
    "securityContext": {}, "sessionAffinity": "None", "successThreshold": 1, "terminationGracePeriodSeconds": 30,
    "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "timeoutSeconds": 1,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    "podManagementPolicy": "OrderedReady", "volumeMode": "Filesystem", "suspend": False, "creationTimestamp": None,
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "completionMode": "NonIndexed", "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": False,
}  # fmt: skip
_ABSENT: Final = object()


async def survey(shared: cluster.Cluster, namespace: str) -> finding.Survey:
    """Everything in a namespace that somebody declared. Raises a `TargetError`."""
    served = await shared.served()
    space = await shared.find(resource.ResourceId(kinds.NAMESPACE, "", namespace))
    if space is None:
        names = await shared.api.get("/api/v1/namespaces", {"limit": "500"})
        known = [one["metadata"]["name"] for one in names.get("items") or ()]
        hint = words.suggestion(namespace, known)
        raise errors.ChangeRefused(f"there is no namespace {namespace}", hint=hint)
    wanted = [
        kind
        for kind in served.kinds.values()
        if kind.namespaced and "list" in kind.verbs and kind.name not in _NEVER
    ]
    pages = await tasks.together(_listed(shared, kind, namespace) for kind in wanted)
    found: list[finding.Found] = []
    left: list[tuple[str, str]] = []
    for kind, items in zip(wanted, pages, strict=True):
        for item in items:
            rid = resource.ResourceId(kind.name, namespace, item["metadata"]["name"])
            why = _why_not(rid, item)
            if why is None:
                found.append(_found(rid, kind, item))
            elif why:
                left.append((str(rid), why))
    return finding.Survey(tuple(sorted(found, key=lambda one: one.file)), tuple(sorted(left)), namespace)


async def _listed(shared: cluster.Cluster, kind: discovery.Api, namespace: str) -> list[Mapping[str, Any]]:
    """All of a kind, page by page; nothing where it is not for us to see."""
    items: list[Mapping[str, Any]] = []
    params = {"limit": "500"}
    while True:
        try:
            page = await shared.api.get(kind.path(namespace=namespace), params)
        except (errors.TargetDenied, errors.ChangeRefused):
            return items
        items += page.get("items") or ()
        params = {"limit": "500", "continue": page["metadata"].get("continue") or ""}
        if not params["continue"]:
            return items


def _why_not(rid: resource.ResourceId, item: Mapping[str, Any]) -> str | None:
    """Why something is left out ("" = nobody would expect it); None where it is not."""
    metadata = item["metadata"]
    if (rid.kind, rid.name) in _MADE or metadata.get("ownerReferences"):
        return ""
    if marks.LABEL in (metadata.get("labels") or {}):
        return "an application of Undrift declares it"
    if metadata.get("deletionTimestamp"):
        return "it is being deleted"
    if rid.kind == kinds.SECRET:
        made = str(item.get("type") or "")
        generated = made in {"kubernetes.io/service-account-token", "helm.sh/release.v1"}
        return (
            ""
            if generated
            else "a secret is not written in plain: encrypt it with SOPS, or keep it elsewhere"
        )
    return None


def _found(rid: resource.ResourceId, kind: discovery.Api, item: Mapping[str, Any]) -> finding.Found:
    labels = item["metadata"].get("labels") or {}
    group = next((labels[name] for name in _GROUPS if labels.get(name)), "")
    name = re.sub(r"[^a-z0-9.-]+", "-", f"{kinds.split(rid.kind)[0]}-{rid.name}".lower())
    return finding.Found(
        group, f"{name}.yaml", manifest(rid, {**item, "kind": kind.kind, "apiVersion": kind.version()})
    )


def manifest(rid: resource.ResourceId, item: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest that an object could have been made from. Pure."""
    declared = _declared(item)
    metadata = declared.get("metadata") or {}
    made: dict[str, Any] = {"apiVersion": item["apiVersion"], "kind": item["kind"]}
    made["metadata"] = {"name": rid.name, "namespace": rid.namespace}
    for part in ("labels", "annotations"):
        kept = {name: value for name, value in (metadata.get(part) or {}).items() if not _NOISE.match(name)}
        if kept:
            made["metadata"][part] = kept
    rest = {name: value for name, value in declared.items() if name not in {*made, "status"}}
    spec = rest.get("spec")
    if isinstance(spec, Mapping):
        rest["spec"] = {name: value for name, value in spec.items() if name not in _SERVERS.get(rid.kind, ())}
    return {**made, **rest}


def _declared(item: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody declared of an object, with its values as they are now."""
    metadata = item["metadata"]
    written = (metadata.get("annotations") or {}).get(_LAST_APPLIED)
    if written:
        try:
            return dict(_like(orjson.loads(written), item))
        except orjson.JSONDecodeError:
            pass
    trie = adopting.applied(metadata.get("managedFields") or (), str(item["apiVersion"]))
    if trie:
        return dict(owned.within(trie, item))
    whole = {
        name: value
        for name, value in item.items()
        if name not in {"apiVersion", "kind", "metadata", "status"}
    }
    if item["kind"] == "Job":
        whole["spec"] = {name: value for name, value in whole["spec"].items() if name != "selector"}
        _without_generated_labels(whole["spec"])
    return {**dict(_without_defaults(whole)), "metadata": metadata}


def _like(template: Any, live: Any) -> Any:
    """The live values at the places that a template has."""
    if isinstance(template, Mapping) and isinstance(live, Mapping):
        return {name: _like(value, live[name]) for name, value in template.items() if name in live}
    if isinstance(template, list) and isinstance(live, list):
        named = {one["name"]: one for one in live if isinstance(one, Mapping) and "name" in one}
        if all(isinstance(one, Mapping) and one.get("name") in named for one in template) and template:
            return [_like(one, named[one["name"]]) for one in template]
        if len(template) == len(live):
            return [_like(one, other) for one, other in zip(template, live, strict=True)]
    return live


def _without_defaults(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(_kept(value))
    return [_without_defaults(one) for one in value] if isinstance(value, list) else value


def _kept(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if _DEFAULTS.get(name, _ABSENT) == inner or (name == "imagePullPolicy" and _is_usual(value, inner)):
            continue
        yield name, _without_defaults(inner)


def _is_usual(container: Mapping[str, Any], policy: Any) -> bool:
    """Whether an image is pulled as it would be anyway."""
    image = str(container.get("image") or "").rpartition("/")[2]
    latest = ":" not in image or image.endswith(":latest")
    return bool(policy == ("Always" if latest and "@" not in image else "IfNotPresent"))


def _without_generated_labels(spec: dict[str, Any]) -> None:
    """A Job's controller labels its Pods."""
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    kept = {name: value for name, value in labels.items() if not _NOISE.match(name)}
    metadata = {**(template.get("metadata") or {}), "labels": kept}
    spec["template"] = {**template, "metadata": {name: value for name, value in metadata.items() if value}}
