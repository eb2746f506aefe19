"""What a Kubernetes of some version would say of a manifest, known without one."""

from __future__ import annotations

import itertools
import re
import time

import pytest

from tests import stages
from undrift.publishing.schemas import release

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: petclinic
spec:
  replicas: 2
  selector: {matchLabels: {app: petclinic}}
  template:
    metadata: {labels: {app: petclinic}}
    spec:
      containers:
      - name: main
        image: petclinic:1.2.3
        ports:
        - containerPort: 8080
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boxes.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Box, plural: boxes}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer}
              port: {x-kubernetes-int-or-string: true}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
---
"""


def minimal(version: str, kind: str) -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n"


def test_what_is_right_is_found_right() -> None:
    found = stages.found("schema", DEPLOYMENT)

    assert (found.failed, found.warnings) == ((), ())
    (check,) = found.checks
    assert (check.name, check.stage, check.version, check.passed) == (
        "schema",
        "staging",
        "Kubernetes 1.33",
        True,
    )


def test_a_wrong_type_is_told_with_its_line_and_without_its_value() -> None:
    found = stages.found("schema", DEPLOYMENT.replace("replicas: 2", "replicas: two"))

    assert stages.lines(found.failed) == [
        "UD401 k8s/all.yaml:6:3: Deployment/petclinic: spec.replicas should be a whole number, not text"
    ]
    assert not found.checks[0].passed


def test_an_unknown_field_is_told_with_the_nearest_one() -> None:
    found = stages.found("schema", DEPLOYMENT.replace("containerPort", "containerPrt"))

    first, second = found.failed
    assert first.what == (
        "Deployment/petclinic: spec.template.spec.containers.0.ports.0.containerPort is missing"
    )
    assert second.what.startswith("Deployment/petclinic: there is no field containerPrt")
    assert second.hint == "did you mean containerPort?"
    assert str(second.origin) == "k8s/all.yaml:15:11"


def test_without_strict_an_unknown_field_is_let_pass_but_a_wrong_type_is_not() -> None:
    text = DEPLOYMENT.replace("replicas: 2", "replicas: two\n  other: 1")

    found = stages.found(("schema", {"strict": False}), text)

    assert [one.what for one in found.failed] == [
        "Deployment/petclinic: spec.replicas should be a whole number, not text"
    ]


@pytest.mark.parametrize(
    "version, kind, kube, line",
    [
        (
            "policy/v1beta1",
            "PodSecurityPolicy",
            "1.33",
            "PodSecurityPolicy policy/v1beta1 was removed in Kubernetes 1.25 (kubeVersion 1.33)",
        ),
        (
            "extensions/v1beta1",
            "Ingress",
            "v1.30.4",
            "Ingress extensions/v1beta1 was removed in Kubernetes 1.22 (kubeVersion 1.30)",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchema",
            "1.32",
            "FlowSchema flowcontrol.apiserver.k8s.io/v1beta3 was removed in Kubernetes 1.32 (kubeVersion 1.32)",
        ),
        (
            "networking.k8s.io/v1",
            "ServiceCIDR",
            "1.31",
            "ServiceCIDR/x: networking.k8s.io/v1 came with Kubernetes 1.33 (kubeVersion 1.31)",
        ),
        ("apps/v2", "Deployment", "1.33", "Deployment/x: there is no kind Deployment in apps/v2"),
        ("apps/v1", "Deploymnt", "1.33", "Deploymnt/x: there is no kind Deploymnt in apps/v1"),
    ],
)
def test_a_kind_that_this_version_does_not_have_is_an_error(
    version: str, kind: str, kube: str, line: str
) -> None:
    found = stages.found("schema", minimal(version, kind), where=stages.stage(kube_version=kube))

    assert [one.what for one in found.failed] == [line]
    assert found.failed[0].hint


@pytest.mark.parametrize(
    "version, kind, hint",
    [
        ("policy/v1beta1", "PodSecurityPolicy", "use Pod Security Admission instead"),
        ("policy/v1beta1", "PodDisruptionBudget", "use policy/v1 instead"),
        ("autoscaling/v2beta1", "HorizontalPodAutoscaler", "use autoscaling/v2 instead"),
        ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", "use flowcontrol.apiserver.k8s.io/v1 instead"),
        ("batch/v1beta1", "CronJob", "use batch/v1 instead"),
        ("apps/v2", "Deployment", "use apps/v1 instead"),
        ("apps/v1", "Deploymnt", "did you mean Deployment?"),
    ],
)
def test_the_next_step_names_what_to_use_instead(version: str, kind: str, hint: str) -> None:
    (error,) = stages.found("schema", minimal(version, kind)).failed

    assert error.hint == hint


def test_what_is_deprecated_is_a_warning_until_it_is_gone() -> None:
    text = minimal("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema")

    served = stages.found("schema", text, where=stages.stage(kube_version="1.31"))
    before = stages.found("schema", text, where=stages.stage(kube_version="1.28"))

    assert (served.failed, before.failed, before.warnings) == ((), (), ())
    assert [one.what for one in served.warnings] == [
        "FlowSchema flowcontrol.apiserver.k8s.io/v1beta3 is deprecated since Kubernetes 1.29 and will go in 1.32"
    ]


def test_a_kind_of_somebodys_own_is_a_warning_or_as_asked_an_error() -> None:
    text = minimal("example.org/v1", "Box")

    soft = stages.found("schema", text)
    hard = stages.found(("schema", {"ignoreMissing": False}), text)
    skipped = stages.found(("schema", {"ignoreMissing": False, "skip": ["Box/*"]}), text)

    line = "Box/x was not checked: nobody says what a Box of example.org/v1 is"
    assert ([one.what for one in soft.warnings], soft.failed) == ([line], ())
    assert [one.what for one in hard.failed] == [line]
    assert skipped.failed == ()


def test_a_kind_that_the_stage_defines_is_checked_by_its_definition() -> None:
    box = (
        minimal("example.org/v1", "Box") + "spec: {size: large, port: http, free: {any: [1]}, colour: red}\n"
    )

    found = stages.found("schema", CRD + box)

    assert sorted(one.what for one in found.failed) == [
        "Box/x: spec.size should be a whole number, not text",
        "Box/x: there is no field colour in spec",
    ]
    assert found.warnings == ()


def test_metadata_of_such_a_kind_is_checked_too() -> None:
    box = minimal("example.org/v1", "Box").replace("name: x", "name: x, lables: {a: b}") + "spec: {size: 1}\n"

    (error,) = stages.found("schema", CRD + box).failed

    assert error.hint == "did you mean labels?"


def test_what_sops_encrypted_is_no_finding() -> None:
    text = (
        DEPLOYMENT.replace("replicas: 2", "replicas: ENC[AES256_GCM,data:Tr7o=,type:int]")
        + "sops: {version: 3.9.0}\n"
    )

    assert stages.found("schema", text, encrypted=True).failed == ()


@pytest.mark.parametrize(
    "said, used", [("1.24", "1.25"), ("1.25", "1.25"), ("v1.29.8", "1.29"), ("1.99", ""), ("", "")]
)
def test_the_nearest_release_that_is_carried_is_taken(said: str, used: str) -> None:
    found = stages.found("schema", DEPLOYMENT, where=stages.stage(kube_version=said))

    used = used or release.written(release.known()[-1])
    assert found.checks[0].version == f"Kubernetes {used}"
    foreign = said in {"1.24", "1.99"}
    assert [one.what for one in found.warnings] == (
        [f"the schemas of Kubernetes {said} are not known here"] if foreign else []
    )


def test_a_version_that_is_none_is_an_error() -> None:
    found = stages.found("schema", DEPLOYMENT, where=stages.stage(kube_version="newest"))

    assert [one.what for one in found.failed] == ["kubeVersion newest is no version"]


def test_resources_of_other_layers_are_let_be() -> None:
    text = "apiVersion: undrift.dev/hosts/v1\nkind: Files\nspec: {}\n---\nsome: values\n"

    found = stages.found("schema", text)

    assert (found.failed, found.warnings) == ((), ())


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"strictt": True}, "the validator schema: strictt is not a known setting"),
        ({"strict": "yes"}, "the validator schema: strict cannot be used"),
        ({"crds": [1]}, "the validator schema: crds cannot be used"),
        ({"crds": ["nowhere"]}, "crds: nowhere does not exist"),
    ],
)
def test_settings_that_make_no_sense_are_findings(settings: dict[str, object], line: str) -> None:
    found = stages.found(("schema", settings), DEPLOYMENT)

    assert [one.what for one in found.failed] == [line]
    assert str(found.failed[0].origin) == "undrift.yaml:9"


def test_each_release_has_what_everybody_uses() -> None:
    usual = {
        ("v1", "Pod"), ("v1", "Secret"), ("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"), ("networking.k8s.io/v1", "Ingress"), ("policy/v1", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io/v1", "Role"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    }  # fmt: skip
    for version in release.known():
        carried = release.nearest(release.written(version))
        assert carried.version == release.written(version)
        assert all(carried.shape(kind) is not None for kind in usual), version
    assert len(release.known()) >= 13


def test_the_releases_agree_with_what_is_said_of_coming_and_going() -> None:
    """Two sources that know nothing of each other: the schemas of releases, and the marks in Kubernetes' own code."""
    lives = release.lives()
    carried = [release.nearest(release.written(version)) for version in release.known()]
    for before, after in itertools.pairwise(carried):
        gone = {kind for group in before.groups for kind in before.of_group(group)} - {
            kind for group in after.groups for kind in after.of_group(group)
        }
        for kind in gone:
            if "alpha" not in kind[0]:
                assert lives[kind].removed == release.parsed(after.version), kind
    for one in carried:
        for kind, life in lives.items():
            if life.removed and life.removed <= release.parsed(one.version):
                assert one.shape(kind) is None, (kind, one.version)


def test_a_hundred_resources_take_a_moment() -> None:
    one = re.sub("name: petclinic\n", "name: petclinic-{}\n", DEPLOYMENT, count=1)
    text = "---\n".join(one.replace("{}", str(number)) for number in range(100))
    made = stages.rendition(text)
    delivered = stages.declared("schema")
    stages.run(delivered, [made])  # loads what is needed

    start = time.perf_counter()
    found = stages.run(delivered, [made])

    assert found.failed == ()
    assert time.perf_counter() - start < 0.5  # seen: 10 ms


def test_another_stage_may_have_another_version() -> None:
    old, new = stages.stage("old", kube_version="1.31"), stages.stage("new", kube_version="1.33")
    text = minimal("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema")
    made = [stages.rendition(text, one) for one in (old, new)]

    found = stages.run(stages.declared("schema", stages=[old, new]), made)

    (error,) = found.failed
    assert error.what == (
        "FlowSchema flowcontrol.apiserver.k8s.io/v1beta3 was removed in Kubernetes 1.32 (kubeVersion 1.33)"
        " in stage new"
    )
    assert [(one.stage, one.passed) for one in found.checks] == [("old", True), ("new", False)]
    assert [one.what.rpartition(" in stage ")[2] for one in found.warnings] == ["old"]
