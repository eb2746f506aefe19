"""CPU and memory that a change asks for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.publishing import about
from undrift.lib import yaml
from undrift.publishing import contrasting, costing


@pytest.mark.parametrize(
    "text, value",
    [
        ("250m", "0.25"), ("1", "1"), (2, "2"), (0.5, "0.5"), ("1.5Gi", "1610612736"), ("1e3", "1000"),
        ("1E3", "1000"), ("1E", "1000000000000000000"), ("100k", "100000"), ("1Ki", "1024"), (".5", "0.5"), ("5.", "5"),
        ("100n", "1e-7"), ("-1", "-1"), ("", None), ("x", None), ("1 Gi", None), ("1KI", None), (None, None),
        (True, None), ("1e999999999", None), ("9" * 100, None),
    ],
)  # fmt: skip
def test_quantity(text: Any, value: str | None) -> None:
    assert costing.quantity(text) == (None if value is None else Decimal(value))


@pytest.mark.parametrize(
    "cores, spelled",
    [("0.25", "250m"), ("1", "1"), ("1.5", "1.5"), ("0", "0"), ("-0.25", "-250m"), ("10", "10")],
)
def test_cores(cores: str, spelled: str) -> None:
    assert costing.cores(Decimal(cores)) == spelled


@pytest.mark.parametrize(
    "size, spelled",
    [(128 << 20, "128Mi"), (1536 << 20, "1.5Gi"), (0, "0"), (-(64 << 20), "-64Mi"), (1 << 80, "1048576Ei")],
)
def test_size(size: int, spelled: str) -> None:
    assert costing.size(Decimal(size)) == spelled


def workload(kind: str, spec: str) -> dict[str, Any]:
    found = yaml.documents(f"kind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")[0].data
    assert isinstance(found, dict)
    return found


POD = "spec: {containers: [{name: a, resources: {requests: {cpu: 1}}}]}"


@pytest.mark.parametrize(
    "reason, kind, spec, cores",
    [
        ("one where nothing is said", "Deployment", f"{{template: {{{POD}}}}}", 1),
        ("times replicas", "StatefulSet", f"{{replicas: 3, template: {{{POD}}}}}", 3),
        ("none at all", "Deployment", f"{{replicas: 0, template: {{{POD}}}}}", 0),
        ("side by side", "Job", f"{{parallelism: 2, template: {{{POD}}}}}", 2),
        (
            "as the job says",
            "CronJob",
            f"{{jobTemplate: {{spec: {{parallelism: 4, template: {{{POD}}}}}}}}}",
            4,
        ),
        ("once", "DaemonSet", f"{{template: {{{POD}}}}}", 1),
        ("a pod itself", "Pod", "{containers: [{resources: {requests: {cpu: 2}}}]}", 2),
        ("limits where no requests are", "Pod", "{containers: [{resources: {limits: {cpu: 3}}}]}", 3),
        (
            "the largest initial container",
            "Pod",
            "{initContainers: [{resources: {requests: {cpu: 5}}}], containers: [{resources: {requests: {cpu: 2}}}]}",
            5,
        ),
        (
            "one that stays is beside the others",
            "Pod",
            "{initContainers: [{restartPolicy: Always, resources: {requests: {cpu: 5}}}], containers: [{resources: {requests: {cpu: 2}}}]}",
            7,
        ),
        ("what runs nothing", "Service", "{replicas: 9}", 0),
        ("what makes no sense", "Deployment", "{replicas: many, template: [1]}", 0),
    ],
)
def test_requested(reason: str, kind: str, spec: str, cores: int) -> None:
    found = costing.cost([(None, workload(kind, spec))])

    assert found.cpu == (Decimal(0), Decimal(cores)), reason


def test_an_autoscaler_is_told_even_where_it_did_not_change() -> None:
    scaler = """\
        apiVersion: autoscaling/v2
        kind: HorizontalPodAutoscaler
        metadata: {name: web}
        spec: {minReplicas: 4, maxReplicas: 9, scaleTargetRef: {kind: Deployment, name: web}}
        """
    without = about.workload("1").replace("  replicas: 2\n", "")
    found = contrasting.contrast(
        about.files(a_yaml=without, b_yaml=scaler),
        about.files(a_yaml=without.replace("250m", "500m"), b_yaml=scaler),
    )

    assert found.cost.cpu == (Decimal(1), Decimal(2))
    assert found.cost.notes == ("HorizontalPodAutoscaler/web sets the replicas of Deployment/web (4 to 9)",)
    assert found.cost.changes
