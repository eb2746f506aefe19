"""Kinds and their order: which come first, which are ready at once, which hold data.

A kind is written `Kind` where it is Kubernetes' own core group and `Kind.group` everywhere else (`Deployment.apps`),
as kubectl does; versions are no part of a resource's identity.
"""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "Namespace"
DEFINITION: Final = "CustomResourceDefinition.apiextensions.k8s.io"
JOB: Final = "Job.batch"
SECRET: Final = "Secret"  # noqa: S105 - a kind
RBAC: Final = "rbac.authorization.k8s.io"
ADMISSION: Final = "admissionregistration.k8s.io"

ORDER: Final = (
    NAMESPACE,
    DEFINITION,
    "PriorityClass.scheduling.k8s.io",
    "RuntimeClass.node.k8s.io",
    "StorageClass.storage.k8s.io",
    "IngressClass.networking.k8s.io",
    "GatewayClass.gateway.networking.k8s.io",
    "NetworkPolicy.networking.k8s.io",
    "ResourceQuota",
    "LimitRange",
    "PodDisruptionBudget.policy",
    "ServiceAccount",
    f"ClusterRole.{RBAC}",
    f"ClusterRoleBinding.{RBAC}",
    f"Role.{RBAC}",
    f"RoleBinding.{RBAC}",
    SECRET,
    "ConfigMap",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Service",
    "DaemonSet.apps",
    "Pod",
    "ReplicationController",
    "ReplicaSet.apps",
    "Deployment.apps",
    "HorizontalPodAutoscaler.autoscaling",
    "StatefulSet.apps",
    "Job.batch",
    "CronJob.batch",
    "Ingress.networking.k8s.io",
)
"""What others need comes first; kinds that are not named come after these, by name."""

LATE: Final = (
    "APIService.apiregistration.k8s.io",
    f"MutatingWebhookConfiguration.{ADMISSION}",
    f"ValidatingWebhookConfiguration.{ADMISSION}",
    f"MutatingAdmissionPolicy.{ADMISSION}",
    f"ValidatingAdmissionPolicy.{ADMISSION}",
    f"MutatingAdmissionPolicyBinding.{ADMISSION}",
    f"ValidatingAdmissionPolicyBinding.{ADMISSION}",
)
"""What can stand in the way of others, or answers for them: after everything else."""

INSTANT: Final = frozenset(
    {
        NAMESPACE,
        "PriorityClass.scheduling.k8s.io",
        "RuntimeClass.node.k8s.io",
        "StorageClass.storage.k8s.io",
        "IngressClass.networking.k8s.io",
        "NetworkPolicy.networking.k8s.io",
        "ResourceQuota",
        "LimitRange",
        "ServiceAccount",
        f"ClusterRole.{RBAC}",
        f"ClusterRoleBinding.{RBAC}",
        f"Role.{RBAC}",
        f"RoleBinding.{RBAC}",
        SECRET,
        "ConfigMap",
        "Service",
    }
)
"""As they will be when the API server has acknowledged them."""

AUTOSCALERS: Final = ("kube-controller-manager/scale",)
"""Who writes through the subresource `scale`, by itself: a HorizontalPodAutoscaler's controller."""

DATA: Final = frozenset({NAMESPACE, "PersistentVolumeClaim", "PersistentVolume", DEFINITION})
"""Deleting one of these deletes what is in it."""


def name(kind: str, group: str) -> str:
    """How a kind is written in a resource's id."""
    return f"{kind}.{group}" if group else kind


def split(written: str) -> tuple[str, str]:
    """Kind and group of what `name` wrote."""
    kind, _, group = written.partition(".")
    return kind, group


def group_of(api_version: str) -> str:
    """The group of an `apiVersion`."""
    return api_version.rpartition("/")[0]
