"""What no stage should be published with, and who may answer for it all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests import stages
from undrift import errors
from undrift.model import delivery, publication
from undrift.publishing.checks import policies

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: main
    image: %s
    resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: correct-horse-battery}
"""


def codes(found: publication.Findings) -> tuple[list[str], list[str]]:
    return [one.code for one in found.failed], [one.code for one in found.warnings]


@pytest.mark.parametrize(
    "image, why",
    [
        ("petclinic:latest", "another image may be called latest tomorrow"),
        ("petclinic", "petclinic without a tag is petclinic:latest"),
        ("registry.example:5000/a/petclinic", "registry.example:5000/a/petclinic without a tag is"),
        ("registry.example:5000/petclinic:latest", "another image may be called latest tomorrow"),
    ],
)
def test_an_image_that_may_be_another_one_tomorrow_is_an_error(image: str, why: str) -> None:
    found = stages.found("policy", POD % image)

    (error,) = found.failed
    assert isinstance(error, errors.ImageMutable)
    assert error.what == f"the image {image} is mutable"
    assert error.why.startswith(why)
    assert str(error.origin) == "k8s/all.yaml:7:5"


@pytest.mark.parametrize(
    "image",
    [
        "petclinic:1.2.3",
        "registry.example:5000/petclinic:v1",
        "petclinic@sha256:" + "a" * 64,
        "petclinic:latest@sha256:" + "a" * 64,
    ],
)
def test_a_tag_of_a_version_or_a_digest_is_right(image: str) -> None:
    assert codes(stages.found("policy", POD % image)) == ([], [])


@pytest.mark.parametrize(
    "settings, image, told",
    [
        ({"noLatestTag": "warning"}, "petclinic", ([], ["UD409"])),
        ({"noLatestTag": "off"}, "petclinic", ([], [])),
        ({"noLatestTag": False}, "petclinic", ([], [])),
        ({"latestTags": ["latest", "main", "*-SNAPSHOT"]}, "petclinic:1.0-SNAPSHOT", (["UD409"], [])),
        ({"digest": "error"}, "petclinic:1.2.3", (["UD409"], [])),
        ({"digest": "error", "noLatestTag": "warning"}, "petclinic", ([], ["UD409"])),
    ],
)
def test_each_rule_is_as_strict_as_it_is_said(
    settings: dict[str, Any], image: str, told: tuple[list[str], list[str]]
) -> None:
    assert codes(stages.found(("policy", settings), POD % image)) == told


def test_containers_are_found_in_kinds_that_nobody_taught_us() -> None:
    text = """\
apiVersion: example.org/v1
kind: Rollout
metadata: {name: web}
spec:
  template:
    spec:
      initContainers: [{name: a, image: one}]
      containers: [{name: b, image: two}]
"""
    found = stages.found(("policy", {"limits": "off"}), text)

    assert [one.what for one in found.failed] == ["the image one is mutable", "the image two is mutable"]


def test_a_secret_in_plain_text_is_an_error_that_does_not_repeat_it() -> None:
    (error,) = stages.found("policy", SECRET).failed

    assert isinstance(error, errors.SecretInPlain)
    assert error.what == "Secret/db is plain text"
    assert "correct-horse" not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    "text, encrypted",
    [
        (SECRET.replace("correct-horse-battery", "'ENC[AES256_GCM,data:abc=,type:str]'"), False),
        (SECRET + "sops: {version: 3.9.0}\n", False),
        (SECRET, True),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ntype: Opaque\n", False),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {}\n", False),
        (
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: x}\nspec: {encryptedData: {p: AgB}}\n",
            False,
        ),
    ],
)
def test_what_nobody_can_read_is_right(text: str, encrypted: bool) -> None:
    assert codes(stages.found("policy", text, encrypted=encrypted)) == ([], [])


@pytest.mark.parametrize(
    "name, value",
    [
        ("DB_PASSWORD", "hunter22"),
        ("dbPassword", "hunter22"),
        ("API_KEY", "abcdefg"),
        ("auth.token", "abcdefg"),
        ("url", "postgresql://app:hunter22@db/petclinic"),
        ("any", "AKIAIOSFODNN7EXAMPLE"),
        ("any", "ghp_" + "aB3" * 12),
        ("any", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n"),
        ("any", "kX9vQ2mZt7Lp4WcR8sYb1NfH6jDg3UaE"),
    ],
)
def test_what_looks_like_a_secret_in_a_config_map_or_a_variable_is_a_warning(name: str, value: str) -> None:
    config = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{{name}: {value!r}}}\n"
    pod = (POD % "a:1") + f"    env: [{{name: {name}, value: {value!r}}}]\n"
    for text, where in ((config, f"ConfigMap/c seems to hold a secret: data.{name}"), (pod, "Pod/web seems")):
        found = stages.found("policy", text)
        assert codes(found) == ([], ["UD408"])
        assert found.warnings[0].what.startswith(where)
        assert value not in f"{found.warnings[0]} {found.warnings[0].hint}"


@pytest.mark.parametrize(
    "name, value",
    [
        ("DB_PASSWORD", "$(OTHER)"),
        ("DB_PASSWORD", "${DB_PASSWORD}"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
        ("PASSWORD", "/run/secrets/db"),
        ("TOKEN_TTL", "3600"),
        ("SECRET_NAME", "db"),
        ("token", "true"),
        ("url", "https://example.org/a/b?c=d"),
        ("url", "postgresql://app:$(PASSWORD)@db/petclinic"),
        ("image", "sha256:" + "0a" * 32),
        ("path", "/usr/local/share/Ca-Certificates1/Example/Another"),
        ("class", "org.example.petclinic.configuration.Main2"),
        ("commit", "0123456789abcdef0123456789abcdef01234567"),
    ],
)
def test_what_only_sounds_like_a_secret_is_let_be(name: str, value: str) -> None:
    config = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{{name}: {value!r}}}\n"

    assert codes(stages.found("policy", config)) == ([], [])


def test_a_resource_in_another_namespace_is_an_error() -> None:
    text = (POD % "a:1").replace("name: web", "name: web, namespace: other")

    (error,) = stages.found("policy", text).failed

    assert isinstance(error, errors.NamespaceForeign)
    assert (error.what, error.why) == (
        "Pod/web lies in the namespace other",
        "that of the stage is staging",
    )
    assert str(error.origin) == "k8s/all.yaml:3:23"
    assert codes(stages.found("policy", text.replace("other", "staging"))) == ([], [])


def test_what_belongs_to_no_namespace_is_one_warning() -> None:
    text = """\
apiVersion: v1
kind: Namespace
metadata: {name: staging}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boxes.example.org}
spec:
  group: example.org
  scope: Cluster
  names: {kind: Box}
  versions: [{name: v1, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: example.org/v1
kind: Box
metadata: {name: red}
"""
    found = stages.found("policy", text)

    assert [one.what for one in found.warnings] == [
        "of no namespace: ClusterRole/reader, CustomResourceDefinition/boxes.example.org, Box/red"
    ]
    assert found.failed == ()


@pytest.mark.parametrize(
    "resources, missing",
    [
        ("{}", "no limit of memory and no request of CPU"),
        ("{limits: {memory: 1Gi}}", "no request of CPU"),
        ("{requests: {cpu: 1, memory: 1Gi}}", "no limit of memory"),
        ("{limits: {cpu: 1, memory: 1Gi}}", ""),
    ],
)
def test_a_container_that_says_nothing_of_what_it_needs_is_a_warning(resources: str, missing: str) -> None:
    text = (POD % "a:1").replace("{requests: {cpu: 100m}, limits: {memory: 64Mi}}", resources)

    found = stages.found("policy", text)

    told = [f"the container main of Pod/web has {missing}"] if missing else []
    assert ([one.what for one in found.warnings], found.failed) == (told, ())
    limited = text + "---\napiVersion: v1\nkind: LimitRange\nmetadata: {name: x}\nspec: {limits: []}\n"
    assert codes(stages.found("policy", limited)) == ([], [])


def waiver(rule: str, on: str, until: str = "2027-12-31") -> delivery.Waiver:
    return delivery.Waiver(rule, (on,), "joe@example.org", until, "legacy", errors.Origin("undrift.yaml", 20))


def waived(*some: delivery.Waiver, text: str = SECRET) -> publication.Findings:
    return stages.run(stages.declared("policy", waivers=some), [stages.rendition(text)])


@pytest.mark.parametrize(
    "rule, on", [("UD408", "Secret/db"), ("UD408", "secret/*"), ("noPlainSecrets", "*/db")]
)
def test_a_waiver_takes_a_finding_and_says_who_answers_for_it(rule: str, on: str) -> None:
    found = waived(waiver(rule, on))

    assert codes(found) == ([], [])
    assert [(one.error.what, one.owner, one.until) for one in found.waived] == [
        ("Secret/db is plain text", "joe@example.org", "2027-12-31")
    ]
    assert [one.passed for one in found.checks] == [True]


def test_a_waiver_holds_on_its_last_day_and_not_after() -> None:
    last, past = waiver("UD408", "*/db", "2027-01-31"), waiver("UD408", "*/db", "2027-01-30")

    assert codes(waived(last)) == ([], [])
    found = waived(past)
    assert [one.what for one in found.failed] == [
        "Secret/db is plain text",
        "the waiver of joe@example.org for UD408 ended on 2027-01-30",
    ]
    assert isinstance(found.failed[1], errors.WaiverExpired)
    assert (str(found.failed[1].origin), found.failed[1].why) == ("undrift.yaml:20", "legacy")
    assert [one.passed for one in found.checks] == [False]


def test_of_two_waivers_the_one_that_holds_counts() -> None:
    found = waived(waiver("UD408", "*/db", "2026-01-01"), waiver("UD408", "*/db"))

    assert [one.code for one in found.failed] == ["UD414"]
    assert len(found.waived) == 1


def test_a_waiver_that_nothing_needs_is_a_warning() -> None:
    found = waived(waiver("UD408", "Secret/db"), waiver("UD409", "Secret/db"))

    assert [one.what for one in found.warnings] == ["nothing needs the waiver of joe@example.org for UD409"]
    assert found.failed == ()


def test_a_waiver_may_be_for_a_stage_that_was_not_looked_at() -> None:
    one, other = stages.stage("staging"), stages.stage("production")
    made = stages.declared("policy", stages=[one, other], waivers=[waiver("UD408", "Secret/db")])

    found = stages.run(made, [stages.rendition("", one)])

    assert codes(found) == ([], [])


@pytest.mark.parametrize(
    "settings, line",
    [
        ({"noLatestTag": "fatal"}, "the validator policy: noLatestTag cannot be used"),
        ({"noLatest": "error"}, "the validator policy: noLatest is not a known setting"),
        ({"latestTags": {"a": 1}}, "the validator policy: latestTags cannot be used"),
    ],
)
def test_settings_that_make_no_sense_are_findings(settings: dict[str, Any], line: str) -> None:
    (error,) = stages.found(("policy", settings), "").failed

    assert (error.what, str(error.origin)) == (line, "undrift.yaml:9")
    assert error.hint


@pytest.mark.parametrize(
    "image, tag",
    [
        ("a", ""),
        ("a:1", "1"),
        ("h:5000/a", ""),
        ("h:5000/a:1@sha256:" + "a" * 64, "1"),
        ("a@sha256:" + "a" * 64, ""),
    ],
)
def test_the_tag_of_an_image(image: str, tag: str) -> None:
    assert policies.tag(image) == tag
