"""Health by kind, as data: what it is, and what the reason says."""

from __future__ import annotations

from typing import Any

import pytest

from undrift.model import health
from undrift.providers.kubernetes import judging, projects

H, P, D, S = health.Status.HEALTHY, health.Status.PROGRESSING, health.Status.DEGRADED, health.Status.SUSPENDED


def condition(name: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": name, "status": status, "reason": reason, "message": message}


def told(*conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"conditions": list(conditions), **more}


SEEN = {"observedGeneration": 2}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], health.Status, str]] = [
    ("ConfigMap", {}, {}, H, ""),
    ("Deployment.apps", {"replicas": 2}, {}, P, "has not seen"),
    ("Deployment.apps", {"replicas": 2}, {"observedGeneration": 1}, P, "has not seen the change"),
    ("Deployment.apps", {"replicas": 2}, {**SEEN, "replicas": 2, "updatedReplicas": 1}, P, "1 of 2"),
    ("Deployment.apps", {}, {**SEEN, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, P, "old"),
    ("Deployment.apps", {}, {**SEEN, "replicas": 1, "updatedReplicas": 1}, P, "0 of 1 replicas are available"),
    ("Deployment.apps", {}, {**SEEN, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, H, ""),
    ("Deployment.apps", {"replicas": 0}, SEEN, H, ""),
    ("Deployment.apps", {"paused": True}, SEEN, S, "paused"),
    (
        "Deployment.apps", {}, told(condition("Progressing", "False", "ProgressDeadlineExceeded", "x"), **SEEN),
        D, "ProgressDeadlineExceeded: x",
    ),
    ("Deployment.apps", {}, told(condition("ReplicaFailure", "True", "FailedCreate", "quota"), **SEEN), D, "quota"),
    ("StatefulSet.apps", {"replicas": 2}, {**SEEN, "readyReplicas": 1}, P, "1 of 2"),
    ("StatefulSet.apps", {}, {**SEEN, "readyReplicas": 1, "updateRevision": "b", "currentRevision": "a"}, P, ""),
    ("StatefulSet.apps", {}, {**SEEN, "readyReplicas": 1, "updateRevision": "a", "currentRevision": "a"}, H, ""),
    (
        "StatefulSet.apps", {"updateStrategy": {"type": "OnDelete"}},
        {**SEEN, "readyReplicas": 1, "updateRevision": "b"}, H, "",
    ),
    (
        "StatefulSet.apps", {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
        {**SEEN, "readyReplicas": 3, "updatedReplicas": 1, "updateRevision": "b"}, H, "",
    ),
    ("DaemonSet.apps", {}, {**SEEN, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}, P, "1 of 2"),
    ("DaemonSet.apps", {}, {**SEEN, "desiredNumberScheduled": 0}, H, ""),
    ("ReplicaSet.apps", {"replicas": 1}, told(condition("ReplicaFailure", message="no"), **SEEN), D, "no"),
    ("Job.batch", {}, told(condition("Failed", "True", "BackoffLimitExceeded", "x")), D, "BackoffLimitExceeded"),
    ("Job.batch", {}, told(condition("Complete")), H, ""),
    ("Job.batch", {"suspend": True}, {}, S, "suspended"),
    ("Job.batch", {"completions": 3}, {"succeeded": 1}, P, "1 of 3"),
    ("CronJob.batch", {"suspend": True}, {}, S, ""),
    ("CronJob.batch", {}, {}, H, ""),
    (
        "Pod", {}, {"phase": "Pending", "containerStatuses": [
            {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}
        ]}, D, "main: ImagePullBackOff: no such tag",
    ),
    ("Pod", {}, told(condition("PodScheduled", "False", "Unschedulable", "0/1 nodes"), phase="Pending"), P, "0/1"),
    ("Pod", {}, told(condition("Ready"), phase="Running"), H, ""),
    ("Pod", {}, {"phase": "Failed", "message": "evicted"}, D, "evicted"),
    ("Pod", {}, {"phase": "Succeeded"}, H, ""),
    ("PersistentVolumeClaim", {}, {"phase": "Pending"}, P, "not bound"),
    ("PersistentVolumeClaim", {}, {"phase": "Bound"}, H, ""),
    ("PersistentVolumeClaim", {}, {"phase": "Lost"}, D, "lost"),
    ("Service", {"type": "LoadBalancer"}, {}, P, "no address"),
    ("Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, H, ""),
    ("Service", {}, {}, H, ""),
    ("Ingress.networking.k8s.io", {}, {}, P, "no address"),
    ("CustomResourceDefinition.apiextensions.k8s.io", {}, {}, P, "not established"),
    ("CustomResourceDefinition.apiextensions.k8s.io", {}, told(condition("Established")), H, ""),
    (
        "CustomResourceDefinition.apiextensions.k8s.io", {},
        told(condition("NamesAccepted", "False", "ListKindConflict", "taken")), D, "taken",
    ),
    ("APIService.apiregistration.k8s.io", {}, told(condition("Available", "False", "X", "no endpoints")), P, "X"),
    ("APIService.apiregistration.k8s.io", {}, told(condition("Available")), H, ""),
    (
        "HorizontalPodAutoscaler.autoscaling", {},
        told(condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics")), D, "no metrics",
    ),
    ("HorizontalPodAutoscaler.autoscaling", {}, told(condition("AbleToScale")), H, ""),
    ("Thing.example.com", {}, told(condition("Ready", "False", "Waiting", "for it")), P, "Waiting: for it"),
    ("Thing.example.com", {}, told(condition("Stalled", "True", "Broken", "it is")), D, "Broken: it is"),
    ("Thing.example.com", {}, told(condition("Reconciling", "True", "New", "it is")), P, "New: it is"),
    ("Thing.example.com", {}, told(condition("Ready")), H, ""),
    ("Thing.example.com", {}, {"observedGeneration": 1}, P, "has not seen"),
    ("Thing.example.com", {}, {"phase": "any"}, H, ""),
    ("Certificate.cert-manager.io", {}, {}, P, "has not looked"),
    ("Certificate.cert-manager.io", {}, told(condition("Issuing"), condition("Ready", "False")), P, "Issuing"),
    ("Certificate.cert-manager.io", {}, told(condition("Ready", "False", "Failed", "denied")), D, "denied"),
    ("Certificate.cert-manager.io", {}, told(condition("Ready")), H, ""),
    ("Rollout.argoproj.io", {}, {"phase": "Paused", "message": "CanaryPauseStep"}, S, "CanaryPauseStep"),
    ("Rollout.argoproj.io", {}, {"phase": "Degraded", "message": "aborted"}, D, "aborted"),
    ("Rollout.argoproj.io", {}, {"phase": "Healthy"}, H, ""),
    ("Rollout.argoproj.io", {}, {"phase": "Healthy", "observedGeneration": 1}, P, "has not seen"),
    ("Application.argoproj.io", {}, {"health": {"status": "Degraded", "message": "x"}}, D, "x"),
    ("Canary.flagger.app", {}, {"phase": "Promoting"}, P, "it is Promoting"),
    ("Canary.flagger.app", {}, {"phase": "Failed"}, D, "it is Failed"),
    ("SealedSecret.bitnami.com", {}, told(condition("Synced", "False", "", "no key could decrypt")), D, "decrypt"),
    ("SealedSecret.bitnami.com", {}, told(condition("Synced")), H, ""),
    ("ExternalSecret.external-secrets.io", {}, told(condition("Ready", "False", "SecretSyncedError", "x")), D, "x"),
    ("ExternalSecret.external-secrets.io", {}, {}, P, ""),
    ("Cluster.cluster.x-k8s.io", {}, {"phase": "Provisioning"}, P, "Provisioning"),
    ("Cluster.cluster.x-k8s.io", {}, {"phase": "Provisioned"}, H, ""),
    ("Cluster.cluster.x-k8s.io", {}, {"phase": "Failed", "message": "no quota"}, D, "no quota"),
    ("Bucket.s3.aws.upbound.io", {}, told(condition("Synced", "False", "ReconcileError", "denied")), D, "denied"),
    ("Bucket.s3.aws.upbound.io", {}, told(condition("Synced"), condition("Ready", "False", "Creating")), P, "Creating"),
    ("Provider.pkg.crossplane.io", {}, told(condition("Installed"), condition("Healthy", "False", "x")), D, "x"),
    ("Kustomization.kustomize.toolkit.fluxcd.io", {}, told(condition("Reconciling"), condition("Ready", "Unknown")), P, ""),
    ("Kustomization.kustomize.toolkit.fluxcd.io", {}, told(condition("Ready", "False", "BuildFailed")), D, "BuildFailed"),
    ("Gateway.gateway.networking.k8s.io", {}, told(condition("Accepted"), condition("Programmed")), H, ""),
    ("PipelineRun.tekton.dev", {}, told(condition("Succeeded", "Unknown", "Running")), P, ""),
    ("PodDisruptionBudget.policy", {}, told(condition("DisruptionAllowed", "False", "SyncFailed", "x")), D, "x"),
    ("PodDisruptionBudget.policy", {}, told(condition("DisruptionAllowed", "False", "InsufficientPods")), H, ""),
    ("VirtualMachine.kubevirt.io", {}, {"printableStatus": "CrashLoopBackOff"}, D, ""),
]  # fmt: skip


@pytest.mark.parametrize("kind, spec, status, wanted, reason", CASES)
def test_health(
    kind: str, spec: dict[str, Any], status: dict[str, Any], wanted: health.Status, reason: str
) -> None:
    data = {"metadata": {"generation": 2}, "spec": spec, "status": status}

    found = judging.judge(kind, data)

    assert found.status is wanted, found
    assert reason in found.reason


def test_what_is_being_deleted_says_what_it_waits_for() -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/keep"]}

    found = judging.judge("ConfigMap", {"metadata": metadata})

    assert found.status is P
    assert "example.com/keep" in found.reason


def test_a_status_of_any_shape_is_no_defect() -> None:
    assert judging.judge("Thing.example.com", {"status": "ok", "metadata": {}}).status is H


@pytest.mark.parametrize("kind", sorted(projects.ROWS))
def test_every_kind_of_the_table_can_be_well_and_can_be_ill(kind: str) -> None:
    row = projects.ROWS[kind]
    can = {*row.values.values(), *(status for *_, status in row.conditions), row.otherwise}

    assert H in can
    assert D in can or kind.startswith(("KubeadmControlPlane", "Kafka.")), can
