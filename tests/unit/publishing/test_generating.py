"""ConfigMaps of files with the suffix of Kustomize, the stage's Namespace, and the Application of a new application."""

from __future__ import annotations

import base64

import pytest

from tests.unit.publishing import sources
from undrift import errors
from undrift.config import reading
from undrift.lib import yaml
from undrift.model import delivery, source
from undrift.publishing import generating

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - name: main
    image: web:1
    envFrom:
    - configMapRef: {name: index} # all
    env:
    - {name: A, valueFrom: {configMapKeyRef: {name: "index", key: a}}}
    - {name: B, valueFrom: {configMapKeyRef: {name: other, key: b}}}
  volumes:
  - {name: a, configMap: {name: index}}
  - {name: b, projected: {sources: [{configMap: {name: 'index'}}]}}
"""
SPEC = """\
  source: {manifests: k8s}
  configMapGenerator: [{name: index, files: %s%s}]
  stages: [{name: staging, namespace: shop}]
"""
FILES: dict[str, sources.Text] = {
    "k8s/pod.yaml": POD,
    "web/index.html": "<h1>\n",
    "web/logo.png": b"\x89PNG\xff",
    "web/sub/x": "no",
}


async def made(files: str, more: str = "", given: dict[str, sources.Text] | None = None) -> dict[str, str]:
    return await sources.render_one(SPEC % (files, more), {**FILES, **(given or {})})


async def test_text_and_other_bytes_and_literals() -> None:
    files = await made("[web/index.html, logo=web/logo.png]", ", literals: {mode: fast}")
    data = yaml.documents(files["configmap-index.yaml"])[0].data

    assert data["metadata"]["namespace"] == "shop"
    assert data["data"] == {"index.html": "<h1>\n", "mode": "fast"}
    assert base64.b64decode(data["binaryData"]["logo"]) == b"\x89PNG\xff"


async def test_references_follow_the_name_and_nothing_else_moves() -> None:
    files = await made("[web/index.html]")
    name = yaml.documents(files["configmap-index.yaml"])[0].data["metadata"]["name"]

    assert name == "index-d77b5g6h9b"
    assert files["pod.yaml"] == POD.replace("name: index}", f"name: {name}}}").replace(
        '"index"', f'"{name}"'
    ).replace("'index'", f"'{name}'")


async def test_other_content_has_another_name_and_a_name_can_stay() -> None:
    names = []
    for text in ("<h1>\n", "<h2>\n"):
        files = await made("[web/index.html]", given={"web/index.html": text})
        names.append(yaml.documents(files["configmap-index.yaml"])[0].data["metadata"]["name"])
    kept = await made("[web/index.html]", ", disableNameSuffixHash: true")

    assert len(set(names)) == 2
    assert kept["pod.yaml"] == POD
    assert "  name: index\n" in kept["configmap-index.yaml"]


async def test_a_folder_is_its_files() -> None:
    data = yaml.documents((await made("[web]"))["configmap-index.yaml"])[0].data

    assert [*data["data"], *data["binaryData"]] == ["index.html", "logo.png"]


async def test_only_in_its_stages() -> None:
    spec = "  source: {manifests: k8s}\n  configMapGenerator: [{name: index, files: [web], stages: [one]}]\n"

    one, two = await sources.render(spec + "  stages: [{name: one}, {name: two}]\n", FILES)

    assert [*one.files] == ["configmap-index.yaml", "pod.yaml"]
    assert [*two.files] == ["pod.yaml"]


async def test_resources_of_another_namespace_mean_another_config_map() -> None:
    foreign = POD.replace("{name: web}", "{name: web, namespace: elsewhere}")
    files = await made("[web/index.html]", given={"k8s/pod.yaml": foreign})

    assert files["pod.yaml"] == foreign


@pytest.mark.parametrize(
    "files, what, hint",
    [
        ("[web/index.htm]", 'stages[0] "staging": web/index.htm not found', "present: index.html, logo.png, sub; rename index.html"),
        ("[a=web]", "configMapGenerator[0]: web is a folder", "name a file"),
        ("[web/index.html, web]", "the key index.html of ConfigMap index is there twice", "key=path"),
        ("['a b']", "'a b' cannot be a key", "key=path"),
        ("[big]", "ConfigMap index would hold 1048577 bytes", "split it"),
    ],
)  # fmt: skip
async def test_what_cannot_be_made_is_told(files: str, what: str, hint: str) -> None:
    with pytest.raises(errors.UndriftError) as caught:
        await made(files, given={"big": b"x" * ((1 << 20) + 1), "a b": ""})

    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.origin is not None
    assert caught.value.origin.file == "undrift.yaml"


async def test_as_much_as_kubernetes_takes_is_made() -> None:
    assert "configmap-index.yaml" in await made("[big]", given={"big": b"x" * (1 << 20)})


async def test_a_link_in_a_folder_is_read() -> None:
    link = source.File(b"index.html", source.FileKind.LINK)
    data = yaml.documents((await made("[web]", given={"web/start": link}))["configmap-index.yaml"])[0].data

    assert data["data"]["start"] == "<h1>\n"


NAMESPACE = """\
  source: {manifests: k8s}
  stages:
  - name: staging
    namespace: shop
    target: prod
    policy: {mode: approval}
    createNamespace: {labels: {team: a, on: "true"}, annotations: {x: z}, quota: {pods: 5}, pullSecret: registry}
"""


async def test_the_namespace_with_labels_quota_and_pull_secret() -> None:
    files = await sources.render_one(NAMESPACE, FILES)
    found = {name: yaml.documents(text)[0].data for name, text in files.items()}

    assert found["undrift-namespace.yaml"] == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"team": "a", "true": "true"}, "annotations": {"x": "z"}},
    }
    assert found["undrift-quota.yaml"]["spec"] == {"hard": {"pods": "5"}}
    assert found["undrift-service-account.yaml"]["imagePullSecrets"] == [{"name": "registry"}]
    assert found["undrift-service-account.yaml"]["metadata"] == {
        "name": "default",
        "namespace": "shop",
        "annotations": {"undrift.dev/adopt": "true"},
    }


async def test_the_application_can_be_read_by_an_agent() -> None:
    (made,) = await sources.render(NAMESPACE, FILES)
    target = "apiVersion: undrift.dev/v1\nkind: Target\nmetadata: {name: prod}\nspec: {provider: hosts, settings: {root: /srv}}\n"
    files = {f"staging/petclinic/{name}": file for name, file in made.files.items()}
    files["target.yaml"] = source.File(target.encode())

    config = await reading.read(source.Artifact(sources.REVISION, ".", "d", files))

    assert [str(error) for error in config.errors] == []
    (application,) = config.applications.values()
    assert application.name == "petclinic-staging"
    assert (application.source.path, application.target, application.namespace) == (
        "staging/petclinic",
        "prod",
        "shop",
    )
    assert application.policy.mode.value == "approval"
    assert "Application/petclinic-staging" not in {one.title for one in made.resources}


async def test_a_file_of_that_name_stays() -> None:
    files = await sources.render_one(NAMESPACE, {"k8s/application.yaml": POD})

    assert files["application.yaml"] == POD
    assert "kind: Application" in files["undrift-application.yaml"]


def test_a_long_name_is_cut_and_still_its_own() -> None:
    one, other = (generating.application_name("a" * 62 + end, "production") for end in "bc")

    assert len(one) <= 63
    assert one.endswith("-production")
    assert one != other


def test_content_is_what_names_a_config_map_not_its_stage() -> None:
    content = {"a": b"<&>\xe2\x80\xa8"}

    one, other = (
        generating.config_map(delivery.ConfigMap("x"), content, namespace) for namespace in ("one", "two")
    )

    assert one["metadata"]["name"] == other["metadata"]["name"]
