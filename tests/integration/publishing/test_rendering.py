"""Stages rendered by the real tools: Kustomize is the oracle for images and ConfigMaps, Helm renders charts."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests import peers, vaults
from tests.unit.publishing import sources
from undrift import errors, plugins
from undrift.config import decrypting
from undrift.lib import yaml
from undrift.model import delivery, source
from undrift.publishing import generating, rendering
from undrift.sources import directory

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: pet\nversion: 1.0.0\ndependencies:\n- {name: cache, alias: store, version: 1.0.0}\n",
    "chart/charts/cache/Chart.yaml": "apiVersion: v2\nname: cache\nversion: 1.0.0\n",
    "chart/charts/cache/values.yaml": "memory: 64\n",
    "chart/charts/cache/templates/c.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cache}\ndata: {memory: {{ .Values.memory | quote }}}\n"
    ),
    "chart/values.yaml": (
        "replicas: 1\nhost: none\nsecret: none\nimage: {repository: pet, tag: '1'}\n"
        "proxy: {image: 'proxy:1'}\nports: [{name: web, port: 80}, {name: admin, port: 81}]\n"
    ),
    "chart/templates/all.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
spec:
  replicas: {{ .Values.replicas }}
  template:
    spec:
      containers:
      - name: application
        image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
        args: [{{ .Values.host | quote }}, {{ .Capabilities.KubeVersion.Version }}]
        ports:
        {{- range .Values.ports }}
        - {name: {{ .name }}, containerPort: {{ .port }}}
        {{- end }}
      - {name: proxy, image: {{ .Values.proxy.image }}}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {key: {{ if eq .Values.secret "random" }}{{ randAlphaNum 20 }}{{ else }}{{ .Values.secret }}{{ end }}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-upgrade}}
""",
    "values/staging.yaml": "replicas: 2\n",
    "src/Main.java": "class Main {}\n",
}
HELM = "  source: {helm: {chart: chart, valueFiles: ['values/{stage}.yaml']}}\n  kubeVersion: '1.31.4'\n  stages: [{name: staging, namespace: shop}]\n"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was built for the tests."""
    folders = {str(peers.require_tool(name).parent) for name in ("kubectl", "helm")}
    monkeypatch.setenv("PATH", os.pathsep.join(sorted(folders)))


def kustomize(folder: pathlib.Path, kustomization: object) -> list[yaml.Document]:
    """What the real tool makes of a folder."""
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    done = subprocess.run(
        [peers.require_tool("kubectl"), "kustomize", folder], capture_output=True, timeout=60, check=True
    )
    return yaml.documents(done.stdout)


def test_config_maps_are_those_of_kustomize(tmp_path: pathlib.Path) -> None:
    """Names (with the suffix) and content, for many contents."""
    chance = random.Random(5)
    texts = [
        b"",
        b"a=1\n",
        b"<a & b>\n",
        b"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x90\xb1",
        b'"quoted" \\ \t tab',
        b"crlf\r\nx\r\n",
        b"a\n\nb  \n",
    ]
    binaries = [chance.randbytes(size) + b"\xff" for size in (0, 1, 51, 52, 53, 104, 1000)]
    cases: dict[str, dict[str, bytes]] = {}
    for number in range(12):
        cases[f"case-{number}"] = {
            f"key{at}.txt": chance.choice(texts + binaries) for at in range(chance.randint(1, 4))
        }
    generators = []
    for name, content in cases.items():
        (tmp_path / name).mkdir()
        for key, value in content.items():
            (tmp_path / name / key).write_bytes(value)
        generators.append({"name": name, "files": [f"{name}/{key}" for key in content]})

    theirs = [one.data for one in kustomize(tmp_path, {"configMapGenerator": generators})]
    ours = [generating.config_map(delivery.ConfigMap(name), content) for name, content in cases.items()]

    def by_name(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return sorted(found, key=lambda one: str(one["metadata"]["name"]))

    assert by_name(theirs) == by_name(ours)


@pytest.mark.parametrize(
    "image", ["pet:1", "pet@sha256:" + "0" * 64, "host:5000/pet:1@sha256:" + "0" * 64, "pet"]
)
@pytest.mark.parametrize(
    "change",
    [
        {"newTag": "2"},
        {"newName": "other/pet"},
        {"digest": "sha256:" + "1" * 64},
        {"newName": "reg.example:5000/x", "newTag": "2"},
        {"newTag": "2", "digest": "sha256:" + "1" * 64},
    ],
)
async def test_images_are_set_as_kustomize_does(
    image: str, change: dict[str, str], tmp_path: pathlib.Path
) -> None:
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: main, image: '{image}'}}]}}\n"
    (tmp_path / "pod.yaml").write_text(pod)
    name = "host:5000/pet" if "host" in image else "pet"
    wanted = {"name": name, **change}

    (theirs,) = kustomize(tmp_path, {"resources": ["pod.yaml"], "images": [wanted]})
    spec = f"  source: {{manifests: k}}\n  stages: [{{name: s}}]\n  images: [{json.dumps(wanted)}]\n"
    made = await sources.render_one(spec, {"k/pod.yaml": pod})

    ours = yaml.documents(made["pod.yaml"])[0].data
    assert ours["spec"]["containers"][0]["image"] == theirs.data["spec"]["containers"][0]["image"]


async def test_an_overlay_gets_images_values_and_config_maps() -> None:
    files = {
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": sources.DEPLOYMENT + "      volumes: [{name: a, configMap: {name: index}}]\n",
        "over/staging/kustomization.yaml": "resources: [../../base]\nnamePrefix: s-\n",
        "web/index.html": "<h1>\n",
        "src/Main.java": "",
    }
    place = sources.MemorySource(files)
    spec = """\
  source: {kustomize: 'over/{stage}'}
  images: [{name: petclinic, newTag: '2'}]
  set: [{path: spec.replicas, value: '3'}]
  configMapGenerator: [{name: index, files: [web/index.html]}]
  stages: [{name: staging}]
"""
    (made,) = await sources.render(spec, place)

    assert [*made.files] == ["configmap-index.yaml", "deployment-s-petclinic.yaml"]
    web = next(one for one in made.resources if one.data["kind"] == "Deployment")
    pod = web.data["spec"]["template"]["spec"]
    assert (web.data["spec"]["replicas"], pod["containers"][0]["image"]) == (3, "petclinic:2")
    assert pod["volumes"][0]["configMap"]["name"] == "index-d77b5g6h9b"
    assert str(web.where("spec", "replicas")) == "base/web.yaml:6:3"
    assert sorted(set(place.fetched)) == ["base", "over/staging", "web/index.html"]
    assert made.tools["kustomize"].startswith("kustomize ")


async def test_a_chart_is_read_and_nothing_around_it() -> None:
    place = sources.MemorySource(CHART)
    (made,) = await sources.render(HELM, place)

    assert [*made.files] == [
        "configmap-cache.yaml",
        "deployment-petclinic.yaml",
        "job-migrate.yaml",
        "secret-key.yaml",
    ]
    assert sorted(set(place.fetched)) == ["chart", "values/staging.yaml"]
    web = yaml.documents(made.files["deployment-petclinic.yaml"].content)[0].data
    assert web["spec"]["replicas"] == 2
    assert web["metadata"]["namespace"] == "shop"
    assert web["spec"]["template"]["spec"]["containers"][0]["args"] == ["none", "v1.31.4"]
    hook = yaml.documents(made.files["job-migrate.yaml"].content)[0].data
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    origin = next(one for one in made.resources if one.data["kind"] == "Job").origin
    assert str(origin) == "chart/templates/all.yaml:24:1"


@pytest.mark.parametrize(
    "change, application, proxy",
    [
        ("images: [{name: image, newTag: '2'}]", "pet:2", "proxy:1"),
        ("images: [{name: image.tag, newName: reg/x, newTag: '2'}]", "reg/x:2", "proxy:1"),
        ("images: [{name: image, digest: 'sha256:0f'}]", "pet:1@sha256:0f", "proxy:1"),
        ("images: [{name: proxy.image, newTag: '2'}]", "pet:1", "proxy:2"),
        ("images: [{name: application, newTag: '2'}, {name: proxy, newTag: '3'}]", "pet:2", "proxy:3"),
        ("set: [{path: image.tag, value: 7}]", "pet:7", "proxy:1"),
    ],
)  # fmt: skip
async def test_images_of_a_chart_by_value_container_or_image(
    change: str, application: str, proxy: str
) -> None:
    made = await sources.render_one(f"{HELM}  {change}\n", CHART)

    web = yaml.documents(made["deployment-petclinic.yaml"])[0].data
    found = [one["image"] for one in web["spec"]["template"]["spec"]["containers"]]
    assert found == [application, proxy]


async def test_values_of_a_chart_and_its_dependency_are_set() -> None:
    values = """\
  set:
  - {path: host, value: '{stage}.example.org'}
  - {path: 'ports[name=admin].port', value: '99'}
  - {path: store.memory, value: 128}
  - {path: fresh.thing, value: 1, create: true}
  - {path: spec.replicas, value: 9, resource: Deployment/*}
"""
    made = await sources.render_one(HELM + values, CHART)

    web = yaml.documents(made["deployment-petclinic.yaml"])[0].data
    container = web["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][0] == "staging.example.org"
    assert [one["containerPort"] for one in container["ports"]] == [80, 99]
    assert web["spec"]["replicas"] == 9
    assert yaml.documents(made["configmap-cache.yaml"])[0].data["data"] == {"memory": "128"}


@pytest.mark.parametrize(
    "change, what, hint",
    [
        ("set: [{path: image.nmae, value: x}]", 'set[0] "image.nmae" is not in the values of the chart', "add create: true to create it"),
        ("set: [{path: hots, value: x}]", 'set[0] "hots" is not in the values', "nearest: host; "),
        ("images: [{name: aplication, newTag: x}]", 'images[0]: no container "aplication" in Deployment/petclinic', "application, proxy"),
        ("images: [{name: image, newTag: '', digest: 'sha256:0f'}]\n  set: [{path: image.tag, value: ''}]", "has no digest", "give newTag"),
    ],
)  # fmt: skip
async def test_what_a_chart_does_not_have_is_told(change: str, what: str, hint: str) -> None:
    with pytest.raises(errors.UndriftError) as caught:
        await sources.render(f"{HELM}  {change}\n", CHART)

    assert what in caught.value.what
    assert hint in caught.value.hint


async def test_a_missing_value_file_is_told_like_a_missing_stage() -> None:
    spec = HELM.replace("[{name: staging, namespace: shop}]", "[{name: staging}, {name: production}]")

    with pytest.raises(errors.StageMissing) as caught:
        await sources.render(spec, CHART)

    assert caught.value.what == 'stages[1] "production": values/production.yaml not found'
    assert caught.value.hint == "present: staging.yaml; rename it, or set stages[1].valueFiles"


async def test_what_differs_between_two_renders_is_named() -> None:
    declared = sources.deliver(HELM + "  set: [{path: secret, value: random}]\n")
    place, registry = sources.MemorySource(CHART), plugins.Registry(None)

    with pytest.raises(errors.RenderUnrepeatable) as caught:
        await rendering.check_repeatable(declared, declared.stages, place, sources.REVISION, registry)
    assert caught.value.what == "staging is not rendered twice alike: Secret/key stringData.key differs"
    assert str(caught.value.origin) == "chart/templates/all.yaml:19:1"

    calm = sources.deliver(HELM)
    await rendering.check_repeatable(calm, calm.stages, place, sources.REVISION, registry)


async def test_what_was_encrypted_is_never_published_in_plain(
    tmp_path: pathlib.Path,
) -> None:
    """Neither with a key nor without one; listed under `resources` it is published as it is."""
    vault = vaults.Vault(tmp_path, peers.require_peer("sops"))
    sealed = vault.encrypt(
        b"apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: hunter22}\n", "db.yaml"
    )
    files: dict[str, sources.Text] = {
        "over/kustomization.yaml": "resources: [db.yaml]\n",
        "over/db.yaml": sealed,
    }
    spec = "  source: {kustomize: over}\n  stages: [{name: s}]\n"
    declared = sources.deliver(spec)

    for decryptor in (None, decrypting.SopsDecryptor("", vault.environ)):
        with pytest.raises(errors.SecretInPlain) as caught:
            await rendering.render_all(
                declared,
                declared.stages,
                sources.MemorySource(files),
                sources.REVISION,
                plugins.Registry(decryptor),
            )
        assert "hunter22" not in repr(caught.value.__dict__)
        assert "resources" in caught.value.hint

    calm: dict[str, sources.Text] = {
        **files,
        "over/kustomization.yaml": "resources: [web.yaml]\n",
        "over/web.yaml": sources.DEPLOYMENT,
    }
    made = await sources.render_one(spec + "  resources: [over/db.yaml]\n", calm)
    assert made["db.yaml"].encode() == sealed


async def test_jsonnet() -> None:
    program = "{kind: 'Pod', apiVersion: 'v1', metadata: {name: 'a'}, spec: {containers: [{name: 'm', image: import '../image.libsonnet'}]}}"
    files = {"app/main.jsonnet": program, "image.libsonnet": "'x:1'"}

    made = await sources.render_one(
        "  source: {jsonnet: app}\n  images: [{name: m, newTag: '2'}]\n  stages: [{name: s}]\n", files
    )

    assert yaml.documents(made["pod-a.yaml"])[0].data["spec"]["containers"][0]["image"] == "x:2"


_PROGRAM = """
import asyncio, hashlib, os, pathlib, sys
os.umask(int(sys.argv[2], 8))
from undrift import plugins
from undrift.config import delivering
from undrift.publishing import rendering
from undrift.sources import directory
root = pathlib.Path(sys.argv[1])
declared = delivering.read((root / "undrift.yaml").read_bytes(), "undrift.yaml")[0].delivery
async def main():
    place = directory.DirectorySource(root)
    revision = await place.resolve()
    for one in await rendering.render_all(declared, declared.stages, place, revision, plugins.Registry(None)):
        for name, file in one.files.items():
            print(name, file.kind, hashlib.sha256(file.content).hexdigest())
asyncio.run(main())
"""


def test_every_machine_renders_the_same(tmp_path: pathlib.Path) -> None:
    """P14: whatever time zone, locale, umask, hash seed and order of files."""
    files = {
        **CHART,
        "undrift.yaml": sources.HEAD + HELM + "  configMapGenerator: [{name: all, files: [web]}]\n",
        "web/u.txt": "ü\n",
        "web/Z": "z",
        "web/a": "a",
    }
    found = []
    for number, (zone, locale, umask, seed) in enumerate(
        [("UTC", "C", "022", "0"), ("Asia/Kathmandu", "tr_TR.UTF-8", "077", "1"), ("America/New_York", "C.UTF-8", "000", "2")]
    ):  # fmt: skip
        root = tmp_path / str(number)
        for name in sorted(files, reverse=bool(number)):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(files[name], encoding="utf-8")
        environ = {"PATH": os.environ["PATH"], "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, root, umask], env=environ, capture_output=True, timeout=60, check=True
        )  # fmt: skip
        found.append(done.stdout)

    assert found[0]
    assert len({hashlib.sha256(one).hexdigest() for one in found}) == 1


async def test_the_work_tree_is_what_is_rendered(tmp_path: pathlib.Path) -> None:
    """A folder on disk: executables and links are what they are, and a link that leaves is refused."""
    folder = tmp_path / "k8s"
    folder.mkdir()
    (folder / "a.yaml").write_bytes(b"a: 1\r\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "b.txt").symlink_to("a.yaml")
    declared = sources.deliver("  source: {manifests: k8s}\n  stages: [{name: s}]\n")
    place = directory.DirectorySource(tmp_path)

    async def render() -> dict[str, source.File]:
        revision = await place.resolve()
        (made,) = await rendering.render_all(
            declared, declared.stages, place, revision, plugins.Registry(None)
        )
        return dict(made.files)

    assert await render() == {
        "a.yaml": source.File(b"a: 1\r\n"),
        "b.txt": source.File(b"a.yaml", source.FileKind.LINK),
        "run.sh": source.File(b"#!/bin/sh\n", source.FileKind.EXECUTABLE),
    }
    (folder / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(errors.ArtifactRefused, match="leads out"):
        await render()
