"""What Pods refer to by name, where that is written, and who makes it."""

from __future__ import annotations

from typing import Any

import pytest

from undrift import errors
from undrift.lib import yaml
from undrift.model import resource
from undrift.providers.kubernetes import referring

POD = """
serviceAccountName: robot
imagePullSecrets: [{name: registry}]
volumes:
- {name: a, configMap: {name: settings}}
- {name: b, secret: {secretName: password}}
- {name: c, secret: {secretName: perhaps, optional: true}}
- {name: d, projected: {sources: [{configMap: {name: part}}, {secret: {name: other}}, {downwardAPI: {}}]}}
- {name: e, configMap: {name: kube-root-ca.crt}}
- {name: f, emptyDir: {}}
initContainers: [{name: first, envFrom: [{secretRef: {name: early}}]}]
containers:
- name: main
  image: nginx
  env:
  - {name: A, valueFrom: {configMapKeyRef: {name: values, key: a}}}
  - {name: B, valueFrom: {secretKeyRef: {name: keys, key: b}}}
  - {name: C, value: plain}
  - {name: D, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  envFrom: [{configMapRef: {name: all}}, {configMapRef: {name: none, optional: true}}]
"""
NEEDED = {
    "ServiceAccount/ns/robot", "Secret/ns/registry", "ConfigMap/ns/settings", "Secret/ns/password", "ConfigMap/ns/part",
    "Secret/ns/other", "Secret/ns/early", "ConfigMap/ns/values", "Secret/ns/keys", "ConfigMap/ns/all",
}  # fmt: skip


def pod() -> Any:
    return yaml.documents(POD)[0].data


def workload(kind: str, steps: tuple[str, ...]) -> tuple[resource.ResourceId, dict[str, Any]]:
    data = pod()
    for step in reversed(steps):
        data = {step: data}
    return resource.ResourceId(kind, "ns", "web"), data


TEMPLATE = ("spec", "template", "spec")


@pytest.mark.parametrize(
    "kind, steps",
    [
        ("Pod", ("spec",)),
        ("Deployment.apps", TEMPLATE),
        ("StatefulSet.apps", TEMPLATE),
        ("DaemonSet.apps", TEMPLATE),
        ("Job.batch", TEMPLATE),
        ("CronJob.batch", ("spec", "jobTemplate", *TEMPLATE)),
    ],
)
def test_everything_that_pods_need_is_found(kind: str, steps: tuple[str, ...]) -> None:
    """And nothing that they could do without."""
    rid, data = workload(kind, steps)

    assert {str(one.id) for one in referring.references(rid, data)} == NEEDED


@pytest.mark.parametrize(
    "data", [{}, {"spec": None}, {"spec": {"template": {"spec": {"containers": [1, {}], "volumes": {}}}}}]
)
def test_broken_manifests_refer_to_nothing(data: dict[str, Any]) -> None:
    assert not list(referring.references(resource.ResourceId("Deployment.apps", "ns", "web"), data))


def test_what_the_application_declares_or_makes_is_there() -> None:
    rid, data = workload("Deployment.apps", TEMPLATE)

    def declared(kind: str, name: str, **fields: Any) -> resource.Resource:
        return resource.Resource(resource.ResourceId(kind, "ns", name), fields)

    every = [
        resource.Resource(rid, data),
        declared("ServiceAccount", "robot"),
        declared("ConfigMap", "settings"),
        declared("SealedSecret.bitnami.com", "password"),
        declared("ExternalSecret.external-secrets.io", "x", spec={"target": {"name": "registry"}}),
        declared("ExternalSecret.external-secrets.io", "keys"),
        declared("Certificate.cert-manager.io", "y", spec={"secretName": "other"}),
    ]

    missing = {str(found.id) for _, found in referring.unsatisfied(every, {one.id: one for one in every})}

    assert missing == {"ConfigMap/ns/part", "Secret/ns/early", "ConfigMap/ns/values", "ConfigMap/ns/all"}


def test_a_field_is_found_by_the_container_or_by_what_is_missing() -> None:
    rid, data = workload("Deployment.apps", TEMPLATE)

    assert referring.field(rid, data, "main.image", "x") == "spec.template.spec.containers.main.image"
    assert referring.field(rid, data, "main", "x") == "spec.template.spec.containers.main"
    missing = referring.field(rid, data, "main", 'configmap "values" not found')
    assert missing == "spec.template.spec.containers.main.env.A.valueFrom.configMapKeyRef.name"
    assert referring.field(rid, data, "", "x") == ""


def test_the_place_of_a_field_is_the_nearest_that_is_known() -> None:
    one = resource.Resource(
        resource.ResourceId("Pod", "ns", "web"),
        {},
        errors.Origin("web.yaml", 1),
        lines={"spec.a": (4, 2), "spec.a.b": (5, 3)},
    )

    assert [str(one.place(field)) for field in ("spec.a.b", "spec.a.c.d", "other", "")] == [
        "web.yaml:5:3", "web.yaml:4:2", "web.yaml:1", "web.yaml:1",
    ]  # fmt: skip
