"""Two renditions side by side: matching, what differs, the order of risk, and that no secret is shown."""

from __future__ import annotations

import base64

import pytest

from tests.unit.publishing import about
from undrift.model import plan, source
from undrift.publishing import contrasting, weighing

VALUE = "correct-horse-battery"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: {0}}}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}}}\ndata: {{a: {1}}}\n"


def only(before: str, after: str) -> contrasting.Difference:
    """The one difference of a file."""
    (found,) = contrasting.contrast(
        about.files(a_yaml=before) if before else {}, about.files(a_yaml=after) if after else {}
    ).differences
    return found


def resource(kind: str, body: str, version: str = "v1") -> str:
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n{body}\n"


# --- matching ------------------------------------------------------------------------------------------


def test_equal_files_are_no_difference() -> None:
    found = contrasting.contrast(about.files(a_yaml=about.workload()), about.files(a_yaml=about.workload()))

    assert found == contrasting.NONE
    assert found.empty


def test_a_resource_is_found_in_whatever_file_it_stands() -> None:
    one, other = about.workload(name="one"), about.workload(name="other")
    found = contrasting.contrast(
        about.files(a_yaml=one, b_yaml=other), about.files(all_yaml=f"{other}---\n{one}")
    )

    assert found.differences == ()
    assert found.layout == ("a.yaml", "all.yaml", "b.yaml")
    assert not found.empty


def test_resources_of_one_name_in_two_namespaces_are_two() -> None:
    text = CONFIG.format("x, namespace: one", "1")
    found = contrasting.contrast(about.files(a_yaml=text), about.files(a_yaml=text.replace("one", "two")))

    assert [(one.action, one.namespace) for one in found.differences] == [
        (plan.Action.DELETE, "one"),
        (plan.Action.CREATE, "two"),
    ]


def test_another_version_of_the_same_group_is_the_same_resource() -> None:
    found = only(resource("CronJob", "", "batch/v1beta1"), resource("CronJob", "", "batch/v1"))

    assert [(one.path, one.before, one.after) for one in found.fields] == [
        ("apiVersion", "batch/v1beta1", "batch/v1")
    ]


def test_items_of_a_list_are_resources() -> None:
    items = "- metadata: {name: a}\n  data: {x: '1'}\n- metadata: {name: b}\n  data: {x: '%s'}\n"
    before, after = (f"apiVersion: v1\nkind: ConfigMapList\nitems:\n{items % n}" for n in (1, 2))

    assert only(before, after).title == "ConfigMap/b"


def test_a_generated_config_map_is_the_same_under_another_hash() -> None:
    found = only(CONFIG.format("app-7g5bk4mmf2", "1"), CONFIG.format("app-ct44h82c6k", "2"))

    assert (found.action, found.title, found.risk) == (
        plan.Action.UPDATE,
        "ConfigMap/app-*",
        weighing.Risk.ORDINARY,
    )


def test_what_stands_twice_is_shown_twice() -> None:
    found = contrasting.contrast({}, about.files(a_yaml=about.workload(), b_yaml=about.workload()))

    assert [one.title for one in found.differences] == ["Deployment/web", "Deployment/web (2)"]


def test_provenance_is_no_difference() -> None:
    assert contrasting.contrast({}, {"hydrator.metadata": about.file("{}")}).empty


# --- what differs --------------------------------------------------------------------------------------


def test_fields_are_told_by_the_names_of_list_items() -> None:
    found = only(about.workload("1"), about.workload("2", 3))

    assert [(one.path, one.before, one.after) for one in found.fields] == [
        ("spec.replicas", 2, 3),
        (
            "spec.template.spec.containers.app.image",
            "registry.example/petclinic:1",
            "registry.example/petclinic:2",
        ),
    ]


def test_the_text_keeps_the_file_as_it_was_written() -> None:
    before = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a: 'one' # why\n"
    found = only(f"# head\n---\n{before}", f"# head\n---\n{before.replace('one', 'two')}")

    assert found.text == (
        "@@ -2,4 +2,4 @@\n kind: ConfigMap\n metadata: {name: x}\n data:\n-  a: 'one' # why\n+  a: 'two' # why\n"
    )


def test_noise_is_folded() -> None:
    before = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\n  labels:\n    helm.sh/chart: web-{0}\nspec:\n"
    before += "  template:\n    metadata:\n      annotations:\n        checksum/config: {0}\n"
    found = only(before.format(1), before.format(2))

    assert found.risk is weighing.Risk.NOISE
    assert (found.fields, found.folded, found.text) == ((), 2, "")


def test_labels_of_volume_claims_are_no_noise() -> None:
    """They cannot change in place."""
    body = (
        "spec:\n  volumeClaimTemplates:\n  - metadata:\n      name: data\n      labels:\n        chart: '{0}'"
    )
    found = only(
        resource("StatefulSet", body.format(1), "apps/v1"), resource("StatefulSet", body.format(2), "apps/v1")
    )

    assert found.risk is weighing.Risk.IMMUTABLE
    assert "-        chart: '1'\n+        chart: '2'\n" in found.text


def test_files_of_other_layers_are_told_by_lines() -> None:
    zone = "www:\n  type: A\n  value: 10.0.0.{0}\n"
    found = contrasting.contrast(
        {"zones/example.yaml": about.file(zone.format(1)), "main.tf": about.file("a = 1\n")},
        {"zones/example.yaml": about.file(zone.format(2))},
    )

    assert [(one.title, one.risk, one.kind) for one in found.differences] == [
        ("main.tf", weighing.Risk.DELETION, ""),
        ("zones/example.yaml", weighing.Risk.ORDINARY, ""),
    ]
    assert "-  value: 10.0.0.1\n+  value: 10.0.0.2\n" in found.differences[1].text


def test_binary_files_are_told_by_size_and_digest() -> None:
    (found,) = contrasting.contrast({}, {"logo.png": source.File(b"\0\1\2")}).differences

    assert found.text == "binary: absent → 3 bytes sha256:ae4b3280e56e\n"


def test_a_file_that_becomes_executable() -> None:
    (found,) = contrasting.contrast(
        {"run": source.File(b"x")}, {"run": source.File(b"x", source.FileKind.EXECUTABLE)}
    ).differences

    assert found.reasons == ("it was a plain file and is executable",)


def test_a_file_that_is_no_yaml_is_told_by_lines() -> None:
    assert (
        only("a: [", "a: ]").text
        == "@@ -1 +1 @@\n-a: [\n\\ No newline at end of file\n+a: ]\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize("odd", ["\x85", "\u2028", "\r"])
def test_lines_that_only_some_readers_see_move_nothing(odd: str) -> None:
    """YAML ends a line there; the lines of the resource must not be taken from the one beside it."""
    config = CONFIG.format("x", f"'a{8 * odd}b'")
    text = f"{config}---\n{SECRET.format(VALUE)}"
    found = contrasting.contrast({}, {"a.yaml": source.File(text.encode())})

    assert {one.title for one in found.differences} == {"ConfigMap/x", "Secret/db"}
    assert VALUE not in "".join(one.text for one in found.differences)


def test_a_huge_difference_is_told_by_its_size() -> None:
    found = contrasting.contrast({}, {"big.txt": source.File(b"x\n" * 30_000)}).differences[0]

    assert found.text == "too long to be shown: 0 lines → 30000 lines\n"


# --- risk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, after, risk",
    [
        (resource("PersistentVolumeClaim", ""), "", weighing.Risk.LOSS),
        (resource("Namespace", ""), "", weighing.Risk.LOSS),
        (resource("CustomResourceDefinition", "", "apiextensions.k8s.io/v1"), "", weighing.Risk.LOSS),
        (resource("StatefulSet", "", "apps/v1"), "", weighing.Risk.LOSS),
        (resource("Service", ""), "", weighing.Risk.DELETION),
        (
            resource("Deployment", "spec: {selector: {matchLabels: {a: b}}}", "apps/v1"),
            resource("Deployment", "spec: {selector: {matchLabels: {a: c}}}", "apps/v1"),
            weighing.Risk.IMMUTABLE,
        ),
        (
            resource("Service", "spec: {}"),
            resource("Service", "spec: {clusterIP: None}"),
            weighing.Risk.IMMUTABLE,
        ),
        (
            resource("Job", "spec: {template: {spec: {containers: [{name: a, image: b}]}}}", "batch/v1"),
            resource("Job", "spec: {template: {spec: {containers: [{name: a, image: c}]}}}", "batch/v1"),
            weighing.Risk.IMMUTABLE,
        ),
        (
            resource("StorageClass", "provisioner: a", "storage.k8s.io/v1"),
            resource("StorageClass", "provisioner: b", "storage.k8s.io/v1"),
            weighing.Risk.IMMUTABLE,
        ),
        (
            resource("PersistentVolumeClaim", "spec: {resources: {requests: {storage: 2Gi}}}"),
            resource("PersistentVolumeClaim", "spec: {resources: {requests: {storage: 1Gi}}}"),
            weighing.Risk.IMMUTABLE,
        ),
        (
            resource("PersistentVolumeClaim", "spec: {resources: {requests: {storage: 1Gi}}}"),
            resource("PersistentVolumeClaim", "spec: {resources: {requests: {storage: 2Gi}}}"),
            weighing.Risk.POWER,
        ),
        (
            resource("ConfigMap", "immutable: true\ndata: {a: b}"),
            resource("ConfigMap", "immutable: true\ndata: {a: c}"),
            weighing.Risk.IMMUTABLE,
        ),
        ("", resource("ClusterRole", "rules: []", "rbac.authorization.k8s.io/v1"), weighing.Risk.POWER),
        (about.workload(), about.workload(replicas=0), weighing.Risk.STOPPED),
        ("", about.workload(replicas=0), weighing.Risk.ORDINARY),
        (SECRET.format(1), SECRET.format(2), weighing.Risk.SECRET),
        (about.workload("1"), about.workload("2"), weighing.Risk.IMAGE),
        (about.workload(), about.workload(replicas=3), weighing.Risk.ORDINARY),
    ],
)
def test_risk(before: str, after: str, risk: weighing.Risk) -> None:
    assert only(before, after).risk is risk


def test_the_riskiest_comes_first() -> None:
    before = "---\n".join(
        [about.workload(), SECRET.format(1), resource("Namespace", ""), resource("Service", "")]
    )
    after = "---\n".join(
        [about.workload("2"), SECRET.format(2), resource("Role", "", "rbac.authorization.k8s.io/v1")]
    )
    found = contrasting.contrast(about.files(a_yaml=before), about.files(a_yaml=after))

    assert [one.title for one in found.differences] == [
        "Namespace/x",
        "Service/x",
        "Role/x",
        "Secret/db",
        "Deployment/web",
    ]


# --- secrets -------------------------------------------------------------------------------------------


def forms(value: str) -> tuple[str, ...]:
    return value, base64.b64encode(value.encode()).decode()


ENCODED = base64.b64encode(VALUE.encode()).decode()
HOLDERS = {
    "stringData": SECRET.format(VALUE),
    "data": resource("Secret", f"data: {{password: {ENCODED}}}"),
    "in a list": f"apiVersion: v1\nkind: SecretList\nitems: [{{metadata: {{name: a}}, stringData: {{a: {VALUE}}}}}]\n",
    "in a list without names": f"apiVersion: v1\nkind: List\nitems: [{{kind: Secret, stringData: {{a: {VALUE}}}}}]\n",
    "nested": resource("Template", f"objects: [{{kind: Secret, data: {{a: {ENCODED}}}}}]"),
    "in a text": resource("ConfigMap", f"data:\n  a: |\n    kind: Secret\n    stringData: {{a: {VALUE}}}"),
    "in JSON in a text": resource(
        "ConfigMap", f"""data: {{a: '{{"kind":"Secret","data":{{"a":"{ENCODED}"}}}}'}}"""
    ),
    "without a name": f"kind: Secret\nstringData: {{a: {VALUE}}}\n",
    "generated": f"kind: Kustomization\nsecretGenerator: [{{name: a, literals: [a={VALUE}]}}]\n",
    "broken": f"kind: Secret\nstringData: {{a: {VALUE}\n",
    "a comment": f"{resource('Secret', 'data: {}')}# {VALUE}\n",
    "an annotation": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a, annotations: {{last: {VALUE}}}}}\n",
    "escaped": f'{{"apiVersion": "v1", "items": [{{"kind": "S\\u0065cret", "data": {{"a": "{ENCODED}"}}}}]}}',
    "sealed": resource("SealedSecret", f"spec: {{encryptedData: {{a: {VALUE}}}}}", "bitnami.com/v1alpha1"),
    "SOPS": resource("Thing", f"spec: {{a: {VALUE}, b: 'ENC[AES256_GCM,x]'}}\nsops: {{mac: {VALUE}}}"),
    "SOPS, no resource": f"a: {VALUE}\nb: ENC[AES256_GCM,x]\nsops: {{mac: m}}\n",
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("way", ["create", "delete", "change to", "change from"])
def test_no_secret_is_shown(holder: str, way: str) -> None:
    text = HOLDERS[holder]
    other = text.replace(VALUE, "something-else").replace(ENCODED, "c29tZXRoaW5nLWVsc2U=")
    before, after = {
        "create": ("", text),
        "delete": (text, ""),
        "change to": (other, text),
        "change from": (text, other),
    }[way]

    found = contrasting.contrast(
        about.files(a_yaml=before) if before else {}, about.files(a_yaml=after) if after else {}
    )

    told = "".join(f"{one.text}{one.fields}{one!r}{one.before!r}{one.after!r}" for one in found.differences)
    assert told or found.layout
    assert not [form for form in forms(VALUE) if form in told]


def test_a_secret_on_one_side_closes_both() -> None:
    """A text that held a Secret and does not any more, and the other way round."""
    one, other = HOLDERS["in a text"], resource("ConfigMap", "data: {a: shown}")

    for before, after in ((one, other), (other, one)):
        found = only(before, after)
        assert found.hidden
        assert not [form for form in (*forms(VALUE), "shown") if form in f"{found.text}{found!r}"]


@pytest.mark.parametrize("name", ["secret.env", "notes.txt", "template.yaml.tmpl"])
def test_a_file_that_may_hold_a_secret_is_told_by_its_size(name: str) -> None:
    texts = {
        "secret.env": "A=ENC[AES256_GCM,x]\nsops_mac=y\n",
        "notes.txt": "kind: Secret\nstringData: {a: b}\n",
        "template.yaml.tmpl": "'kind': \"Secret\"\n",
    }
    (found,) = contrasting.contrast({}, {name: about.file(texts[name])}).differences

    assert found.text.splitlines()[1:] == [
        f"+{len(texts[name])} bytes, not shown: there may be a secret in it"
    ]
    assert found.risk is weighing.Risk.SECRET


def test_of_a_secret_the_keys_are_told() -> None:
    before = resource("Secret", "stringData: {kept: '1', changed: '1', gone: '1'}")
    after = resource("Secret", "stringData: {kept: '1', changed: '2', new: '1'}\ntype: Opaque")
    found = only(before, after)

    assert [(one.path, one.before, one.after) for one in found.fields] == [
        ("stringData.changed", "***", "***"),
        ("stringData.gone", "***", None),
        ("stringData.new", None, "***"),
        ("type", None, "Opaque"),
    ]
    assert "+stringData.changed: *** (another value)\n" in found.text
    assert " stringData.kept: ***\n" in found.text


def test_names_of_secrets_are_no_secrets() -> None:
    before = resource(
        "HelmRelease", "spec: {valuesFrom: [{kind: Secret, name: a}]}", "helm.toolkit.fluxcd.io/v2"
    )
    found = only(before, before.replace("name: a}", "name: b}"))

    assert not found.hidden
    assert "name: b" in found.text


# --- images --------------------------------------------------------------------------------------------


def test_images_before_and_after() -> None:
    found = contrasting.contrast(
        about.files(a_yaml=about.workload("1")), about.files(a_yaml=about.workload("2"))
    )

    assert found.images == (
        contrasting.ImageChange(
            "app", "Deployment/web", "registry.example/petclinic:1", "registry.example/petclinic:2"
        ),
    )
