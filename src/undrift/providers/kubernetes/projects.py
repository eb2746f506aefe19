"""Health of the kinds of other projects, as one table of data: what their phases and conditions mean.

Sources: the projects' own API documents and argo-cd resource_customizations. A kind that is not here is judged by
its conditions; a Target may have rules of its own for any kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from undrift.model import health

_GOOD: Final = health.Status.HEALTHY
_BAD: Final = health.Status.DEGRADED
_COMING: Final = health.Status.PROGRESSING
_HELD: Final = health.Status.SUSPENDED
_READY: Final = (("Ready", "True", _GOOD), ("Ready", "False", _BAD))


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What a kind's status says: the value at a path of it, then conditions in this order; else `otherwise`.

    A value that is not listed means nothing. `message` is the path of a text for people.
    """

    path: tuple[str, ...] = ()
    values: Mapping[str, health.Status] = dataclasses.field(default_factory=dict)
    conditions: tuple[tuple[str, str, health.Status], ...] = ()
    message: tuple[str, ...] = ()
    otherwise: health.Status = _COMING


def _phase(path: str = "phase", *, message: str = "message", **values: str) -> Row:
    """A row about one word; `values` are the words by what they mean, separated by commas."""
    by_word = {
        word: health.Status(status.capitalize())
        for status, words in values.items()
        for word in words.split(",")
    }
    return Row(tuple(path.split(".")), by_word, message=tuple(message.split(".")))


_BY_READY: Final = Row(conditions=_READY)
_BY_READY_OR_WAITING: Final = Row(conditions=(("Ready", "True", _GOOD), ("Stalled", "True", _BAD)))
_FLUX: Final = Row(
    conditions=(("Stalled", "True", _BAD), ("Reconciling", "True", _COMING), *_READY),
)
_TEKTON: Final = Row(conditions=(("Succeeded", "True", _GOOD), ("Succeeded", "False", _BAD)))
_MACHINE: Final = "Pending,Provisioning,Provisioned,Deleting,ScalingUp,ScalingDown,Upgrading,Unknown"

ROWS: Final[Mapping[str, Row]] = {
    # cert-manager
    "Certificate.cert-manager.io": Row(
        conditions=(("Ready", "True", _GOOD), ("Issuing", "True", _COMING), ("Ready", "False", _BAD))
    ),
    "CertificateRequest.cert-manager.io": Row(
        conditions=(("Ready", "True", _GOOD), ("Denied", "True", _BAD), ("InvalidRequest", "True", _BAD))
    ),
    "Issuer.cert-manager.io": _BY_READY,
    "ClusterIssuer.cert-manager.io": _BY_READY,
    # Argo
    "Rollout.argoproj.io": _phase(
        healthy="Healthy", progressing="Progressing", suspended="Paused", degraded="Degraded"
    ),
    "Workflow.argoproj.io": _phase(
        healthy="Succeeded", degraded="Failed,Error", progressing="Running,Pending"
    ),
    "AnalysisRun.argoproj.io": _phase(
        healthy="Successful,Inconclusive", degraded="Failed,Error", progressing="Running,Pending"
    ),
    "Application.argoproj.io": _phase(
        "health.status",
        message="health.message",
        healthy="Healthy",
        progressing="Progressing,Missing,Unknown",
        suspended="Suspended",
        degraded="Degraded",
    ),
    # Flux, Flagger
    "Kustomization.kustomize.toolkit.fluxcd.io": _FLUX,
    "HelmRelease.helm.toolkit.fluxcd.io": _FLUX,
    "GitRepository.source.toolkit.fluxcd.io": _FLUX,
    "OCIRepository.source.toolkit.fluxcd.io": _FLUX,
    "HelmRepository.source.toolkit.fluxcd.io": _FLUX,
    "Bucket.source.toolkit.fluxcd.io": _FLUX,
    "Canary.flagger.app": _phase(
        healthy="Initialized,Succeeded",
        degraded="Failed",
        suspended="Waiting,WaitingPromotion",
        progressing="Initializing,Progressing,Promoting,Finalising",
    ),
    # secrets
    "SealedSecret.bitnami.com": Row(conditions=(("Synced", "False", _BAD), ("Synced", "True", _GOOD))),
    "ExternalSecret.external-secrets.io": _BY_READY,
    "ClusterExternalSecret.external-secrets.io": _BY_READY,
    "PushSecret.external-secrets.io": _BY_READY,
    "SecretStore.external-secrets.io": _BY_READY,
    "ClusterSecretStore.external-secrets.io": _BY_READY,
    # Cluster API
    "Cluster.cluster.x-k8s.io": _phase(
        healthy="Provisioned", degraded="Failed", progressing="Pending,Provisioning,Deleting,Unknown"
    ),
    "Machine.cluster.x-k8s.io": _phase(healthy="Running", degraded="Failed", progressing=_MACHINE),
    "MachineSet.cluster.x-k8s.io": _phase(healthy="Running", degraded="Failed", progressing=_MACHINE),
    "MachineDeployment.cluster.x-k8s.io": _phase(healthy="Running", degraded="Failed", progressing=_MACHINE),
    "MachinePool.cluster.x-k8s.io": _phase(healthy="Running", degraded="Failed", progressing=_MACHINE),
    "KubeadmControlPlane.controlplane.cluster.x-k8s.io": Row(
        conditions=(("Available", "True", _GOOD), ("Ready", "True", _GOOD), ("Ready", "False", _COMING))
    ),
    # Crossplane: what it manages is of any group, and judged by its conditions Synced and Ready
    "Provider.pkg.crossplane.io": Row(
        conditions=(("Installed", "False", _BAD), ("Healthy", "True", _GOOD), ("Healthy", "False", _BAD))
    ),
    "Configuration.pkg.crossplane.io": Row(
        conditions=(("Installed", "False", _BAD), ("Healthy", "True", _GOOD), ("Healthy", "False", _BAD))
    ),
    "Function.pkg.crossplane.io": Row(
        conditions=(("Installed", "False", _BAD), ("Healthy", "True", _GOOD), ("Healthy", "False", _BAD))
    ),
    "CompositeResourceDefinition.apiextensions.crossplane.io": Row(
        conditions=(("Established", "True", _GOOD), ("Established", "False", _BAD))
    ),
    # networks
    "Gateway.gateway.networking.k8s.io": Row(
        conditions=(
            ("Accepted", "False", _BAD),
            ("Programmed", "True", _GOOD),
            ("Programmed", "False", _COMING),
        )
    ),
    "GatewayClass.gateway.networking.k8s.io": Row(
        conditions=(("Accepted", "True", _GOOD), ("Accepted", "False", _BAD))
    ),
    # workloads of others
    "Service.serving.knative.dev": _BY_READY,
    "ScaledObject.keda.sh": Row(conditions=(("Paused", "True", _HELD), *_READY)),
    "Cluster.postgresql.cnpg.io": _BY_READY_OR_WAITING,
    "Kafka.kafka.strimzi.io": Row(conditions=(("NotReady", "True", _COMING), ("Ready", "True", _GOOD))),
    "KafkaTopic.kafka.strimzi.io": _BY_READY,
    "KafkaUser.kafka.strimzi.io": _BY_READY,
    "Prometheus.monitoring.coreos.com": Row(
        conditions=(
            ("Reconciled", "False", _BAD),
            ("Available", "True", _GOOD),
            ("Available", "Degraded", _BAD),
            ("Available", "False", _BAD),
        )
    ),
    "TaskRun.tekton.dev": _TEKTON,
    "PipelineRun.tekton.dev": _TEKTON,
    "VirtualMachine.kubevirt.io": _phase(
        "printableStatus",
        healthy="Running,Stopped",
        suspended="Paused",
        progressing="Starting,Stopping,Migrating,Provisioning,WaitingForVolumeBinding,Terminating",
        degraded="CrashLoopBackOff,ErrorUnschedulable,ErrImagePull,ImagePullBackOff,ErrorPvcNotFound,DataVolumeError",
    ),
    # Kubernetes' own that have but conditions
    "PodDisruptionBudget.policy": Row(
        conditions=(("DisruptionAllowed", "SyncFailed", _BAD),), otherwise=_GOOD
    ),
}
