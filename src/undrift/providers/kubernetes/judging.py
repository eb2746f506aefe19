"""Health of a resource by its kind: Argo CD's words, kstatus's rules.

Sources: kubernetes-sigs/cli-utils pkg/kstatus and argo-cd gitops-engine/pkg/health. Where the two differ, the
stricter one is taken: a load balancer needs an address, a Job has to end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from undrift.model import health
from undrift.providers.kubernetes import expressions, kinds, projects

_Data = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What rules look at."""

    spec: _Data
    status: _Data
    metadata: _Data


_Rule = Callable[[Look], health.Health]


def judge(kind: str, data: _Data, own: Mapping[str, expressions.Rule] | None = None) -> health.Health:
    """How well a resource does. Pure, and quick: it is asked for every event of a watch.

    `own` are the rules of the target, which win.
    """
    metadata = data.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return _progressing(_leaving(metadata))
    if own and kind in own:
        return own[kind].judge(data)
    spec, status = data.get("spec") or {}, data.get("status") or {}
    if not isinstance(spec, Mapping) or not isinstance(status, Mapping):
        return health.HEALTHY
    rule = RULES.get(kind)
    if rule is not None:
        seen = status.get("observedGeneration")
        if isinstance(seen, int) and seen < metadata.get("generation", 0):
            return _progressing("its controller has not seen the change yet")
        return rule(Look(spec, status, metadata))
    if kind in _JUST_THERE:
        return health.HEALTHY
    row = projects.ROWS.get(kind)
    if row is not None:
        return _by_row(Look(spec, status, metadata), row)
    return _by_conditions(Look(spec, status, metadata)) if status else health.HEALTHY


def conditions(status: _Data) -> dict[str, _Data]:
    """The conditions of a status by their types."""
    found = status.get("conditions")
    if not isinstance(found, list):
        return {}
    return {str(one.get("type")): one for one in found if isinstance(one, Mapping)}


def _leaving(metadata: _Data) -> str:
    finalizers = metadata.get("finalizers") or ()
    return (
        f"it is being deleted and waits for {', '.join(finalizers)}" if finalizers else "it is being deleted"
    )


def _progressing(reason: str) -> health.Health:
    return health.Health(health.Status.PROGRESSING, reason)


def _degraded(reason: str) -> health.Health:
    return health.Health(health.Status.DEGRADED, reason)


def _suspended(reason: str) -> health.Health:
    return health.Health(health.Status.SUSPENDED, reason)


def _said(condition: _Data) -> str:
    """What a condition tells people."""
    parts = (condition.get("reason"), condition.get("message"))
    return (
        ": ".join(str(part) for part in parts if part)
        or f"{condition.get('type')} is {condition.get('status')}"
    )


def _number(data: _Data, name: str, default: int = 0) -> int:
    value = data.get(name, default)
    return value if isinstance(value, int) else default


def _deployment(one: Look) -> health.Health:
    if one.spec.get("paused"):
        return _suspended("it is paused")
    told = conditions(one.status)
    progress, failure = told.get("Progressing", {}), told.get("ReplicaFailure", {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return _degraded(_said(progress))
    if failure.get("status") == "True":
        return _degraded(_said(failure))
    if "observedGeneration" not in one.status:
        return _progressing("its controller has not seen it yet")
    return _replicas(_number(one.spec, "replicas", 1), one.status, available=True) or health.HEALTHY


def _replicas(wanted: int, status: _Data, *, available: bool) -> health.Health | None:
    """What is still to come of a number of replicas; None when all are there and no old one is left."""
    updated, there = _number(status, "updatedReplicas"), _number(status, "replicas")
    if updated < wanted:
        return _progressing(f"{updated} of {wanted} replicas are updated")
    if there > updated:
        return _progressing(f"{there - updated} old replicas are still there")
    if available and _number(status, "availableReplicas") < wanted:
        return _progressing(f"{_number(status, 'availableReplicas')} of {wanted} replicas are available")
    return None


def _stateful_set(one: Look) -> health.Health:
    wanted = _number(one.spec, "replicas", 1)
    strategy = one.spec.get("updateStrategy") or {}
    if "observedGeneration" not in one.status:
        return _progressing("its controller has not seen it yet")
    if _number(one.status, "readyReplicas") < wanted:
        return _progressing(f"{_number(one.status, 'readyReplicas')} of {wanted} replicas are ready")
    if strategy.get("type") == "OnDelete":
        return health.HEALTHY
    partition = _number(strategy.get("rollingUpdate") or {}, "partition")
    if partition:
        updated = _number(one.status, "updatedReplicas")
        if updated < wanted - partition:
            return _progressing(f"{updated} of {wanted - partition} replicas are updated")
        return health.HEALTHY
    if one.status.get("updateRevision") != one.status.get("currentRevision"):
        return _progressing(f"{_number(one.status, 'updatedReplicas')} of {wanted} replicas are updated")
    return health.HEALTHY


def _daemon_set(one: Look) -> health.Health:
    if "observedGeneration" not in one.status:
        return _progressing("its controller has not seen it yet")
    wanted = _number(one.status, "desiredNumberScheduled")
    if (one.spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        updated = _number(one.status, "updatedNumberScheduled")
        if updated < wanted:
            return _progressing(f"{updated} of {wanted} Pods are updated")
    if _number(one.status, "numberAvailable") < wanted:
        return _progressing(f"{_number(one.status, 'numberAvailable')} of {wanted} Pods are available")
    return health.HEALTHY


def _replica_set(one: Look) -> health.Health:
    failure = conditions(one.status).get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return _degraded(_said(failure))
    wanted = _number(one.spec, "replicas", 1)
    if _number(one.status, "availableReplicas") < wanted:
        return _progressing(f"{_number(one.status, 'availableReplicas')} of {wanted} replicas are available")
    return health.HEALTHY


def _job(one: Look) -> health.Health:
    told = conditions(one.status)
    if told.get("Failed", {}).get("status") == "True":
        return _degraded(_said(told["Failed"]))
    if told.get("Complete", {}).get("status") == "True":
        return health.HEALTHY
    if one.spec.get("suspend") or told.get("Suspended", {}).get("status") == "True":
        return _suspended("it is suspended")
    return _progressing(
        f"it runs: {_number(one.status, 'succeeded')} of {_number(one.spec, 'completions', 1)} are done"
    )


def _cron_job(one: Look) -> health.Health:
    return _suspended("it is suspended") if one.spec.get("suspend") else health.HEALTHY


def _pod(one: Look) -> health.Health:
    phase, told = one.status.get("phase"), conditions(one.status)
    waits = [
        (each.get("name"), (each.get("state") or {}).get("waiting") or {})
        for part in ("initContainerStatuses", "containerStatuses")
        for each in one.status.get(part) or ()
    ]
    for name, waiting in waits:
        reason = str(waiting.get("reason") or "")
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            return _degraded(f"{name}: {reason}: {waiting.get('message', '')}".rstrip(": "))
    if phase == "Succeeded":
        return health.HEALTHY
    if phase == "Failed":
        return _degraded(str(one.status.get("message") or one.status.get("reason") or "it failed"))
    if phase == "Running" and told.get("Ready", {}).get("status") == "True":
        return health.HEALTHY
    scheduled = told.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _progressing(_said(scheduled))
    return _progressing(f"it is {phase}" if phase else "it has not begun")


def _claim(one: Look) -> health.Health:
    phase = one.status.get("phase")
    if phase == "Bound":
        return health.HEALTHY
    return (
        _degraded("its volume is lost")
        if phase == "Lost"
        else _progressing("it is not bound to a volume yet")
    )


def _volume(one: Look) -> health.Health:
    if one.status.get("phase") == "Failed":
        return _degraded(str(one.status.get("message") or "it failed"))
    return health.HEALTHY


def _service(one: Look) -> health.Health:
    if one.spec.get("type") == "LoadBalancer" and not (one.status.get("loadBalancer") or {}).get("ingress"):
        return _progressing("its load balancer has no address yet")
    return health.HEALTHY


def _ingress(one: Look) -> health.Health:
    if (one.status.get("loadBalancer") or {}).get("ingress"):
        return health.HEALTHY
    return _progressing("its load balancer has no address yet")


def _namespace(one: Look) -> health.Health:
    return health.HEALTHY if one.status.get("phase") != "Terminating" else _progressing("it is being deleted")


def _definition(one: Look) -> health.Health:
    told = conditions(one.status)
    names, established = told.get("NamesAccepted", {}), told.get("Established", {})
    if names.get("status") == "False":
        return _degraded(_said(names))
    if established.get("status") == "True":
        return health.HEALTHY
    if established.get("status") == "False" and established.get("reason") not in {"Installing", None}:
        return _degraded(_said(established))
    return _progressing("it is not established yet")


def _api_service(one: Look) -> health.Health:
    told = conditions(one.status).get("Available", {})
    if told.get("status") == "True":
        return health.HEALTHY
    return _progressing(_said(told) if told else "it has not been looked at yet")


_HPA_DEGRADED: Final = frozenset(
    {
        "FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric", "FailedGetContainerResourceMetric",
        "FailedGetPodsMetric", "FailedGetObjectMetric", "FailedGetExternalMetric", "InvalidMetricSourceType",
        "InvalidSelector", "FailedComputeMetricsReplicas",
    }
)  # fmt: skip


def _autoscaler(one: Look) -> health.Health:
    told = conditions(one.status)
    for each in told.values():
        if each.get("status") == "False" and each.get("reason") in _HPA_DEGRADED:
            return _degraded(_said(each))
    return health.HEALTHY if told else _progressing("it has not been looked at yet")


def _by_row(one: Look, row: projects.Row) -> health.Health:
    """Kinds of other projects: what the table says of their phase, or of their conditions."""
    seen = one.status.get("observedGeneration")
    if isinstance(seen, int) and seen < one.metadata.get("generation", 0):
        return _progressing("its controller has not seen the change yet")
    word = _text(one.status, row.path) if row.path else ""
    if word in row.values:
        return _made(row.values[word], _text(one.status, row.message) or f"it is {word}")
    told = conditions(one.status)
    for kind, value, status in row.conditions:
        found = told.get(kind, {})
        if value in (found.get("status"), found.get("reason")):
            return _made(status, _said(found))
    nothing = "its controller has not looked at it yet"
    return _made(row.otherwise, f"it is {word}" if word else nothing)


def _made(status: health.Status, reason: str) -> health.Health:
    return health.HEALTHY if status is health.Status.HEALTHY else health.Health(status, reason)


def _text(data: Any, path: tuple[str, ...]) -> str:
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data if isinstance(data, str) else ""


def _by_conditions(one: Look) -> health.Health:
    """Kinds that nobody taught us: kstatus's generic rules, Crossplane's Synced, and the Ready condition."""
    seen = one.status.get("observedGeneration")
    if isinstance(seen, int) and seen != one.metadata.get("generation", seen):
        return _progressing("its controller has not seen the change yet")
    told = conditions(one.status)
    if told.get("Reconciling", {}).get("status") == "True":
        return _progressing(_said(told["Reconciling"]))
    if told.get("Stalled", {}).get("status") == "True":
        return _degraded(_said(told["Stalled"]))
    if told.get("Synced", {}).get("status") == "False":
        return _degraded(_said(told["Synced"]))
    ready = told.get("Ready")
    if ready is not None and ready.get("status") != "True":
        return _progressing(_said(ready))
    return health.HEALTHY


_JUST_THERE: Final = frozenset({"ConfigMap", kinds.SECRET, "ServiceAccount"})

RULES: Final[Mapping[str, _Rule]] = {
    "Deployment.apps": _deployment,
    "StatefulSet.apps": _stateful_set,
    "DaemonSet.apps": _daemon_set,
    "ReplicaSet.apps": _replica_set,
    "Job.batch": _job,
    "CronJob.batch": _cron_job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "Service": _service,
    "Ingress.networking.k8s.io": _ingress,
    kinds.NAMESPACE: _namespace,
    kinds.DEFINITION: _definition,
    "APIService.apiregistration.k8s.io": _api_service,
    "HorizontalPodAutoscaler.autoscaling": _autoscaler,
}
