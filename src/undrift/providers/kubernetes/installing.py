"""The manifests of an agent that runs in the cluster which it reconciles, itself included.

It listens to nobody: no port, no Service, and a NetworkPolicy that lets nothing in. It runs as nobody, on a
read-only file system; what it remembers is on a volume of its own, what it has in hand in memory.
"""

from __future__ import annotations

from typing import Any, Final

from undrift.model import agent
from undrift.providers.kubernetes import kinds

_USER: Final = 65532
_STATE: Final = "/var/lib/undrift"
_CREDENTIALS: Final = "undrift-git"


def documents(given: agent.Installation) -> list[dict[str, Any]]:
    """Every manifest but the ClusterRole, in the order they are made. Pure."""
    return [
        _document(
            "v1", "Namespace", given.namespace, labels={"pod-security.kubernetes.io/enforce": "restricted"}
        ),
        _document("v1", "ServiceAccount", given.name, given.namespace),
        _binding(given),
        _document(
            "v1",
            "PersistentVolumeClaim",
            given.name,
            given.namespace,
            spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": given.storage}}},
        ),
        _document(
            "networking.k8s.io/v1",
            "NetworkPolicy",
            given.name,
            given.namespace,
            spec={"podSelector": {"matchLabels": _labels(given)}, "policyTypes": ["Ingress"], "ingress": []},
        ),
        _deployment(given),
    ]


def credentials(given: agent.Installation) -> str:
    """What a person runs to hand over the credential for Git; it is in no file."""
    return f"kubectl -n {given.namespace} create secret generic {_CREDENTIALS} --from-literal=UNDRIFT_GIT_TOKEN=…"


def _document(
    version: str, kind: str, name: str, namespace: str = "", labels: dict[str, str] | None = None, **rest: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _labels(given: agent.Installation) -> dict[str, str]:
    return {"app.kubernetes.io/name": "undrift", "app.kubernetes.io/instance": given.name}


def _binding(given: agent.Installation) -> dict[str, Any]:
    return _document(
        f"{kinds.RBAC}/v1",
        "ClusterRoleBinding",
        given.name,
        roleRef={"apiGroup": kinds.RBAC, "kind": "ClusterRole", "name": given.name},
        subjects=[{"kind": "ServiceAccount", "name": given.name, "namespace": given.namespace}],
    )


def _deployment(given: agent.Installation) -> dict[str, Any]:
    """One at a time: the volume is its own, and two of a name would be one agent twice."""
    return _document(
        "apps/v1",
        "Deployment",
        given.name,
        given.namespace,
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": _labels(given)},
            "template": {"metadata": {"labels": _labels(given)}, "spec": _pod(given)},
        },
    )


def _pod(given: agent.Installation) -> dict[str, Any]:
    return {
        "serviceAccountName": given.name,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "agent",
                "image": given.image,
                "args": ["agent", *_arguments(given)],
                "envFrom": [{"secretRef": {"name": _CREDENTIALS, "optional": True}}],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "192Mi"},
                    "limits": {"memory": "1Gi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "state", "mountPath": _STATE},
                    {"name": "memory", "mountPath": "/tmp"},  # noqa: S108 - a volume of the Pod's own
                    {"name": "memory", "mountPath": "/dev/shm"},  # noqa: S108 - likewise
                ],
            }
        ],
        "volumes": [
            {"name": "state", "persistentVolumeClaim": {"claimName": given.name}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
        ],
    }


def _arguments(given: agent.Installation) -> list[str]:
    options = {
        "--repository": given.repository,
        "--branch": given.branch,
        "--path": given.path,
        "--agent": given.agent,
        "--state-dir": _STATE,
    }
    return [f"{name}={value}" for name, value in options.items() if value]
