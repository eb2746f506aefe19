"""How much a difference matters to who reviews it, and which differences are mere noise. Tables, and their reading.

The fields that cannot change in place are those that Kubernetes' own validation refuses on update
(pkg/apis/*/validation in kubernetes/kubernetes); what is in no table of ours is told as an ordinary change.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift.engine import comparing
from undrift.model import plan
from undrift.publishing import costing

Path = tuple[str, ...]


class Risk(enum.IntEnum):
    """What a reviewer has to look at first: the higher, the earlier."""

    NOISE = 0
    ORDINARY = 1
    IMAGE = 2
    SECRET = 3
    STOPPED = 4
    POWER = 5
    IMMUTABLE = 6
    DELETION = 7
    LOSS = 8


_HOLDS_DATA: Final = frozenset(
    {
        "CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "StatefulSet",
    }
)  # fmt: skip
_POWERFUL: Final = frozenset(
    {
        "APIService", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition",
        "MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "Role",
        "RoleBinding", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)  # fmt: skip
SECRETS: Final = frozenset({"Secret", "SealedSecret"})

_IMMUTABLE: Final[Mapping[str, tuple[Path, ...]]] = {
    "ClusterRoleBinding": (("roleRef",),),
    "CustomResourceDefinition": (("spec", "group"), ("spec", "scope")),
    "DaemonSet": (("spec", "selector"),),
    "Deployment": (("spec", "selector"),),
    "EndpointSlice": (("addressType",),),
    "IngressClass": (("spec", "controller"),),
    "Job": (("spec", "selector"), ("spec", "template"), ("spec", "completionMode")),
    "PersistentVolume": (
        ("spec", "awsElasticBlockStore"), ("spec", "csi"), ("spec", "hostPath"), ("spec", "local"),
        ("spec", "nfs"), ("spec", "volumeMode"),
    ),
    "PersistentVolumeClaim": (
        ("spec", "accessModes"), ("spec", "dataSource"), ("spec", "dataSourceRef"), ("spec", "selector"),
        ("spec", "storageClassName"), ("spec", "volumeMode"), ("spec", "volumeName"),
    ),
    "PriorityClass": (("value",), ("preemptionPolicy",)),
    "ReplicaSet": (("spec", "selector"),),
    "RoleBinding": (("roleRef",),),
    "RuntimeClass": (("handler",),),
    "Service": (("spec", "clusterIP"), ("spec", "clusterIPs"), ("spec", "loadBalancerClass")),
    "StatefulSet": (
        ("spec", "selector"), ("spec", "serviceName"), ("spec", "podManagementPolicy"),
        ("spec", "volumeClaimTemplates"),
    ),
    "StorageClass": (("parameters",), ("provisioner",), ("reclaimPolicy",), ("volumeBindingMode",)),
}  # fmt: skip
_LOCKABLE: Final = frozenset({"ConfigMap", "Secret"})
_SCALED: Final = frozenset({"Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"})
_NOISE: Final = re.compile(
    r"helm\.sh/chart|chart|app\.kubernetes\.io/version|checksum/.*|.*/checksum(?:[-/].*)?|rollme"
)


def is_noise(path: Path) -> bool:
    """Whether a field changes with each release and tells nothing: chart labels, checksums of what else changed."""
    if path[-3:-2] != ("metadata",) or path[-2] not in {"labels", "annotations"}:
        return False
    return "volumeClaimTemplates" not in path and _NOISE.fullmatch(path[-1]) is not None


def of_resource(
    action: plan.Action,
    kind: str,
    found: Sequence[plan.Difference],
    before: Mapping[str, Any] | None,
    *,
    hidden: bool,
) -> tuple[Risk, tuple[str, ...]]:
    """The risk of one resource's differences (noise left out), and why it is that high, in words."""
    if action is plan.Action.DELETE:
        if kind in _HOLDS_DATA:
            return Risk.LOSS, (f"a {kind} goes with all that is in it",)
        return Risk.DELETION, ()
    if action is plan.Action.UPDATE:
        if not found:
            return Risk.NOISE, ()
        stuck = _stuck(kind, found, before or {})
        if stuck:
            return Risk.IMMUTABLE, (f"{', '.join(stuck)} cannot be changed in place",)
    return _of_content(kind, found, hidden=hidden, update=action is plan.Action.UPDATE)


def of_file(action: plan.Action) -> Risk:
    """The risk of a file that is no Kubernetes resource."""
    return Risk.DELETION if action is plan.Action.DELETE else Risk.ORDINARY


def _of_content(
    kind: str, found: Sequence[plan.Difference], *, hidden: bool, update: bool
) -> tuple[Risk, tuple[str, ...]]:
    if kind in _POWERFUL:
        return Risk.POWER, ()
    if update and kind in _SCALED and any(_stops(one) for one in found):
        return Risk.STOPPED, ("nothing of it runs any more",)
    if hidden or kind in SECRETS:
        return Risk.SECRET, ()
    if update and any(path[-1:] == ("image",) for path, _, _ in found):
        return Risk.IMAGE, ()
    return Risk.ORDINARY, ()


def _stops(found: plan.Difference) -> bool:
    path, before, after = found
    return path == ("spec", "replicas") and after == 0 and before != 0


def _stuck(kind: str, found: Sequence[plan.Difference], before: Mapping[str, Any]) -> list[str]:
    """The fields that the API server will not change."""
    patterns = list(_IMMUTABLE.get(kind, ()))
    if kind in _LOCKABLE and before.get("immutable") is True:
        patterns += [("data",), ("binaryData",), ("stringData",), ("immutable",)]
    hit = {
        ".".join(pattern) for pattern in patterns for path, _, _ in found if comparing.covers(pattern, path)
    }
    if kind == "PersistentVolumeClaim" and any(_shrinks(one) for one in found):
        hit.add("a smaller spec.resources.requests.storage")
    return sorted(hit)


def _shrinks(found: plan.Difference) -> bool:
    path, before, after = found
    old, new = costing.quantity(before), costing.quantity(after)
    if old is None or new is None:
        return False
    return path == ("spec", "resources", "requests", "storage") and new < old
