"""Helm by the real tool: charts in the source, values, hooks, overlays on top, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.renderers import conftest
from undrift import errors, interfaces

CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
  namespace: {{ .Release.Namespace }}
data:
  greeting: {{ .Values.greeting | quote }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  custom: {{ .Capabilities.APIVersions.Has "example.com/v1" | quote }}
"""
HOOK = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": "5"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: m}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: test, annotations: {"helm.sh/hook": test}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: bye, annotations: {"helm.sh/hook": "pre-delete,pre-upgrade", "helm.sh/hook-weight": "-2"}}
---
apiVersion: v1
kind: Secret
metadata: {name: gone, annotations: {"helm.sh/hook": post-delete}}
"""
FILES = {
    "charts/web/Chart.yaml": CHART,
    "charts/web/values.yaml": "greeting: hello\n",
    "charts/web/templates/settings.yaml": TEMPLATE,
    "charts/web/templates/hooks.yaml": HOOK,
    "charts/web/crds/thing.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n",
    "prod/values.yaml": "greeting: from a file\n",
}


def one(found: interfaces.Rendered, kind: str) -> interfaces.Document:
    [document] = [each for each in found.documents if each.data["kind"] == kind]
    return document


async def test_a_chart_in_the_source(render_helm: conftest.Render) -> None:
    """With the name, the namespace and what the live cluster serves."""
    found = await render_helm(FILES, "prod", chart="../charts/web")

    settings = one(found, "ConfigMap")
    assert settings.data["metadata"] == {"name": "web-settings", "namespace": "prod"}
    assert settings.data["data"] == {"greeting": "hello", "kube": "v1.37.2", "custom": "true"}
    assert (settings.file, settings.positions[()]) == ("charts/web/templates/settings.yaml", (2, 1))
    assert one(found, "CustomResourceDefinition").file


async def test_values_from_files_inline_and_set(render_helm: conftest.Render) -> None:
    """The later ones win."""
    files = await render_helm(FILES, "prod", chart="../charts/web", valueFiles=["values.yaml"])
    inline = await render_helm(
        FILES, "prod", chart="../charts/web", valueFiles=["values.yaml"], values={"greeting": "inline"}
    )
    given = await render_helm(
        FILES, "prod", chart="../charts/web", values={"greeting": "inline"}, set={"greeting": "set, so there"}
    )

    greetings = [one(each, "ConfigMap").data["data"]["greeting"] for each in (files, inline, given)]
    assert greetings == ["from a file", "inline", "set, so there"]


async def test_hooks_are_waves_and_tests_are_left_out(render_helm: conftest.Render) -> None:
    """They run again when anything else of the chart changed, and only then."""
    first = await render_helm(FILES, "prod", chart="../charts/web")
    same = await render_helm(FILES, "prod", chart="../charts/web")
    other = await render_helm(FILES, "prod", chart="../charts/web", values={"greeting": "other"})

    [migrate, bye] = [each.data for each in first.documents if each.data["kind"] == "Job"]
    annotations = migrate["metadata"]["annotations"]
    assert (annotations["undrift.dev/wave"], annotations["undrift.dev/renew"]) == ("-995", "true")
    assert migrate in [each.data for each in same.documents]
    assert migrate not in [each.data for each in other.documents]
    assert [each.data["kind"] for each in first.documents].count("Pod") == 0
    at_delete = "undrift.dev/on-delete"
    told = bye["metadata"]["annotations"]
    assert (told[at_delete], told["undrift.dev/wave"], told[f"{at_delete}-wave"]) == (
        "also before",
        "-1002",
        "-2",
    )
    assert one(first, "Secret").data["metadata"]["annotations"][at_delete] == "after"


async def test_an_overlay_on_top(render_helm: conftest.Render) -> None:
    files = {**FILES, "prod/overlay/kustomization.yaml": "resources: [rendered.yaml]\nnameSuffix: -eu\n"}

    found = await render_helm(files, "prod", chart="../charts/web", postRender="overlay")

    settings = one(found, "ConfigMap")
    assert settings.data["metadata"]["name"] == "web-settings-eu"
    assert settings.file == "charts/web/templates/settings.yaml"


@pytest.mark.parametrize(
    "change, settings, place, says, hint",
    [
        ({}, {"chart": "../charts/wob"}, "", "no Chart.yaml", "renderer.chart"),
        ({}, {"chart": "../charts/web", "valueFiles": ["value.yaml"]}, "", "", "values.yaml"),
        (
            {"charts/web/templates/bad.yaml": "a: b\nc: {{ .Values.no.such }}\n"}, {"chart": "../charts/web"},
            "charts/web/templates/bad.yaml:2", "nil pointer", "",
        ),
        (
            {"charts/web/templates/bad.yaml": "a: b\n c: d\n"}, {"chart": "../charts/web"},
            "charts/web", "", "",
        ),
        (
            {"charts/web/values.schema.json": '{"properties": {"greeting": {"type": "integer"}}}'},
            {"chart": "../charts/web"}, "charts/web", "greeting", "",
        ),
        (
            {"charts/web/Chart.yaml": CHART + "dependencies: [{name: db, version: 1.0.0, repository: https://x}]\n"},
            {"chart": "../charts/web"}, "charts/web", "missing in charts/", "renderer.remote",
        ),
        ({}, {"chart": "web", "repository": "https://charts.example.com", "version": "^1"}, "", "tomorrow", "1.2.3"),
        ({}, {"chrat": "x"}, "", "", "did you mean chart?"),
        ({}, {"values": []}, "", "", "mapping"),
    ],
)  # fmt: skip
async def test_what_cannot_be_rendered_is_told(
    change: dict[str, str],
    settings: dict[str, Any],
    place: str,
    says: str,
    hint: str,
    render_helm: conftest.Render,
) -> None:
    with pytest.raises(errors.RenderFailed) as caught:
        await render_helm({**FILES, **change}, "prod", **settings)

    assert str(caught.value.origin or "").startswith(place), caught.value
    assert says in f"{caught.value.what} {caught.value.why}"
    assert hint in caught.value.hint


class Reversed:
    """A decryptor whose secret is to read backwards."""

    async def decrypt(self, content: bytes, name: str) -> bytes | None:
        return content.removeprefix(b"ENC[")[::-1] if content.startswith(b"ENC[") else None


async def test_what_was_encrypted_is_in_no_error(render_helm: conftest.Render) -> None:
    """A chart that quotes its values when it fails does not give them away."""
    files: dict[str, str | bytes] = {
        **FILES,
        "prod/secret.yaml": b"ENC[" + b"greeting: hunter2hunter2"[::-1],
        "charts/web/templates/bad.yaml": '{{ fail (printf "not %s" .Values.greeting) }}',
    }

    with pytest.raises(errors.RenderFailed) as caught:
        await render_helm(files, "prod", Reversed(), chart="../charts/web", valueFiles=["secret.yaml"])

    assert "not ***" in caught.value.why
    assert "hunter2" not in f"{caught.value} {caught.value.why}"


async def test_nothing_of_our_environment_is_seen(
    render_helm: conftest.Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor can a chart reach a repository."""
    monkeypatch.setenv("HELM_NAMESPACE", "stolen")
    monkeypatch.setenv("SOME_SECRET", "hunter2hunter2")
    files = {**FILES, "charts/web/templates/env.yaml": 'a: {{ env "SOME_SECRET" }}\n'}

    with pytest.raises(errors.RenderFailed, match="helm cannot render"):
        await render_helm(files, "prod", chart="../charts/web")
    found = await render_helm(FILES, "prod", chart="../charts/web")
    assert one(found, "ConfigMap").data["metadata"]["namespace"] == "prod"
