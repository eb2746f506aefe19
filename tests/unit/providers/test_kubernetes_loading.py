"""Manifests → resources: ids, fields, edges, and everything that is wrong at once."""

from __future__ import annotations

import pytest

from undrift import errors, interfaces
from undrift.lib import yaml
from undrift.model import resource, secret
from undrift.providers.kubernetes import discovery, hiding, loading

SERVED = discovery.Apis(
    {
        one.name: one
        for one in (
            discovery.Api("", "ConfigMap", "configmaps", True, ("v1",)),
            discovery.Api("", "Secret", "secrets", True, ("v1",)),
            discovery.Api("", "Namespace", "namespaces", False, ("v1",)),
            discovery.Api("apps", "Deployment", "deployments", True, ("v1",)),
            discovery.Api("batch", "CronJob", "cronjobs", True, ("v1",)),
        )
    },
    "1.37.2",
    frozenset({"metrics.k8s.io"}),
)
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true}]
"""


def load(text: str, namespace: str = "", *, hidden: bool = False) -> resource.DesiredState:
    documents = tuple(
        interfaces.Document(one.data, "a.yaml", one.positions, hidden) for one in yaml.documents(text)
    )
    return loading.load(interfaces.Rendered(documents), SERVED, namespace)


def config_map(metadata: str, more: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{{metadata}}}\n{more}"


def ids(found: resource.DesiredState) -> list[str]:
    return [str(rid) for rid in found.resources]


def test_names_and_namespaces() -> None:
    """Its own, else the application's, else `default`; none for what lives in no namespace."""
    text = "---\n".join(
        [config_map("name: a"), config_map("name: b, namespace: own"),
         "apiVersion: v1\nkind: Namespace\nmetadata: {name: space, namespace: ignored}\n"]
    )  # fmt: skip

    assert ids(load(text)) == ["ConfigMap/default/a", "ConfigMap/own/b", "Namespace/space"]
    assert ids(load(text, "app"))[0] == "ConfigMap/app/a"


def test_lists_are_their_items() -> None:
    items = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n"

    found = load(items)

    assert ids(found) == ["ConfigMap/default/a"]
    assert str(found.resources[resource.ResourceId("ConfigMap", "default", "a")].origin) == "a.yaml:4:3"


def test_what_the_server_writes_is_no_part_of_a_declaration() -> None:
    """An object that was exported from a cluster can be used as it is."""
    text = config_map("name: a, uid: u, resourceVersion: '1', creationTimestamp: null, labels: {a: b}") + (
        "data: {k: v}\nstatus: {any: 1}\n"
    )

    [one] = load(text).resources.values()

    assert one.fields == {"apiVersion": "v1", "data": {"k": "v"}, "metadata": {"labels": {"a": "b"}}}


def test_secrets_are_hidden_and_text_becomes_data() -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: b2xk, b: eA==}\nstringData: {a: new}\n"
    )

    [one] = load(text).resources.values()

    assert isinstance(one.fields["data"]["a"], secret.Secret)
    assert hiding.reveal(one.fields)["data"] == {"a": "bmV3", "b": "eA=="}
    assert "bmV3" not in repr(one)


def test_everything_of_an_encrypted_file_is_hidden() -> None:
    """Numbers, too; they come back as numbers."""
    [one] = load(
        config_map("name: a", "data: {pin: 1234, deep: {on: true}}\n"), hidden=True
    ).resources.values()

    assert "1234" not in repr(one.fields)
    assert hiding.reveal(one.fields)["data"] == {"pin": 1234, "deep": {"true": True}}


def test_annotations_for_us() -> None:
    text = "---\n".join(
        [config_map('name: a, annotations: {undrift.dev/wave: "-2", undrift.dev/prune: "false"}'),
         config_map("name: b, annotations: {undrift.dev/depends-on: ConfigMap/a}")]
    )  # fmt: skip

    first, second = load(text).resources.values()

    assert (first.wave, first.protected) == (-2, True)
    assert second.depends_on == (first.id,)


def test_a_custom_resource_waits_for_its_definition() -> None:
    served = {"CustomResourceDefinition.apiextensions.k8s.io": discovery.Api(
        "apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", False, ("v1",)
    )}  # fmt: skip
    text = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n---" + DEFINITION
    documents = tuple(interfaces.Document(one.data, "a.yaml", one.positions) for one in yaml.documents(text))

    found = loading.load(interfaces.Rendered(documents), discovery.Apis(served), "n")

    thing = found.resources[resource.ResourceId("Thing.example.com", "n", "t")]
    assert [str(rid) for rid in thing.depends_on] == [
        "CustomResourceDefinition.apiextensions.k8s.io/things.example.com"
    ]


@pytest.mark.parametrize(
    "text, place, says, hint",
    [
        ("- 1\n", "a.yaml:1:1", "mapping", ""),
        ("kind: ConfigMap\n", "a.yaml:1:1", "no apiVersion", ""),
        ("apiVersion: v1\n", "a.yaml:1:1", "no kind", ""),
        ("apiVersion: v1\nkind: ConfigMap\n", "a.yaml:1:1", "no metadata", ""),
        (config_map("labels: {}"), "a.yaml:3:1", "metadata.name", ""),
        (config_map("name: a/b"), "a.yaml:3:12", "metadata.name", ""),
        (config_map("generateName: a-"), "a.yaml:3:12", "generateName", "give it a name"),
        (config_map("name: a").replace("ConfigMap", "ConfigMop"), "a.yaml:2:1", "does not know", "ConfigMap"),
        (
            "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: d}\n",
            "a.yaml:2:1", "does not know", "is it Deployment.apps?",
        ),
        (
            "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: d}\n",
            "a.yaml:1:1", "does not serve", "use batch/v1",
        ),
        (config_map("name: a, labels: {undrift.dev/application: x}"), "a.yaml:3:30", "Undrift's own", "remove"),
        (config_map("name: a, annotations: {undrift.dev/wav: x}"), "a.yaml:3:35", "no annotation", "wave"),
        (config_map("name: a, annotations: {undrift.dev/wave: one}"), "a.yaml:3:35", "whole number", ""),
        (config_map("name: a, annotations: {undrift.dev/prune: maybe}"), "a.yaml:3:35", "neither", ""),
        (config_map("name: a, annotations: {undrift.dev/depends-on: ConfigMap/z}"), "a.yaml:3:35", "not declared", ""),
        (config_map("name: a") + "---\n" + config_map("name: a"), "a.yaml:5:1", "declared at a.yaml:1:1", "keep one"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, place: str, says: str, hint: str) -> None:
    with pytest.raises(errors.ValidationError) as caught:
        load(text)

    assert str(caught.value.origin) == place
    assert says in caught.value.why
    assert hint in caught.value.hint


def test_a_group_that_does_not_answer_is_waited_for() -> None:
    with pytest.raises(errors.TargetUnavailable):
        load("apiVersion: metrics.k8s.io/v1\nkind: PodMetrics\nmetadata: {name: p}\n")


def test_farewells_are_not_among_the_resources() -> None:
    """What is for the end of the application only may have the id of what is there all the time."""
    text = "---\n".join(
        [config_map("name: a"), config_map('name: a, annotations: {undrift.dev/on-delete: after, undrift.dev/wave: "3"}'),
         config_map('name: c, annotations: {undrift.dev/on-delete: also before, undrift.dev/on-delete-wave: "-3", '
                    'undrift.dev/renew: "true", undrift.dev/run: x}'),
         config_map("name: b, annotations: {undrift.dev/on-delete: before}")]
    )  # fmt: skip

    found = load(text)

    assert ids(found) == ["ConfigMap/default/a", "ConfigMap/default/c"]
    again = next(one for rid, one in found.farewells.items() if rid.name == "c")
    assert again.fields["metadata"]["annotations"]["undrift.dev/run"] == "before-x"
    told = {str(rid): (one.farewell, one.wave) for rid, one in found.farewells.items()}
    assert told == {
        "ConfigMap/default/a": (resource.Farewell.AFTER, 2_000_003),
        "ConfigMap/default/b": (resource.Farewell.BEFORE, -2_000_000),
        "ConfigMap/default/c": (resource.Farewell.BEFORE, -2_000_003),
    }
    with pytest.raises(errors.ResourceInvalid, match="cannot be befor") as caught:
        load(config_map("name: b, annotations: {undrift.dev/on-delete: befor}"))
    assert "before" in caught.value.hint
