"""Kustomize by the real tool: overlays of bases elsewhere in the source, origins, secrets, nothing from outside."""

from __future__ import annotations

import base64
import pathlib

import pytest

from tests import peers, vaults
from tests.integration.renderers import conftest
from undrift import errors
from undrift.config import decrypting
from undrift.lib import yaml

DEPLOYMENT = """\
# the base
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "nginx:1.27"}]}
"""
FILES = {
    "base/kustomization.yaml": "resources: [deployment.yaml]\n",
    "base/deployment.yaml": DEPLOYMENT,
    "prod/kustomization.yaml": (
        "namePrefix: prod-\nresources: [../base]\nimages: [{name: nginx, newTag: '1.28'}]\n"
        "configMapGenerator: [{name: settings, literals: [a=b]}]\n"
    ),
}


async def test_an_overlay_of_a_base_beside_it(render_kustomize: conftest.Render) -> None:
    """Each object knows the file and line that it was made from."""
    found = {one.data["kind"]: one for one in (await render_kustomize(FILES, "prod")).documents}

    web = found["Deployment"]
    assert web.data["metadata"] == {"name": "prod-web"}
    assert web.data["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1.28"
    assert (web.file, yaml.nearest(web.positions, ("spec", "replicas"))) == ("base/deployment.yaml", (6, 3))
    assert found["ConfigMap"].file == "prod/kustomization.yaml"
    assert found["ConfigMap"].data["metadata"]["name"].startswith("prod-settings-")


async def test_values_are_filled_in_from_what_is_declared(render_kustomize: conftest.Render) -> None:
    files = {**FILES, "base/deployment.yaml": DEPLOYMENT.replace("replicas: 1", "replicas: ${COUNT:=2}")}

    default = await render_kustomize(files, "prod", substitute={})
    declared = await render_kustomize(files, "prod", substitute={"COUNT": 5})

    counts = [
        one.data["spec"].get("replicas")
        for each in (default, declared)
        for one in each.documents
        if "spec" in one.data
    ]
    assert counts == [2, 5]


@pytest.mark.parametrize(
    "change, place, says, hint",
    [
        ({"prod/kustomization.yaml": None, "prod/kustomisation.yaml": "x: 1"}, "prod", "needs a kustomization", "did you mean"),
        ({"prod/kustomization.yaml": "resources: [../bose]\n"}, "prod", "bose", ""),
        ({"base/deployment.yaml": "a: [\n"}, "base/deployment.yaml", "", ""),
        ({"prod/kustomization.yaml": "resources: [https://github.com/a/b]\n"}, "prod", "", "renderer.remote"),
        ({"prod/kustomization.yaml": "resources: [/etc]\n"}, "prod", "", ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_built_is_told(
    change: dict[str, str | None], place: str, says: str, hint: str, render_kustomize: conftest.Render
) -> None:
    files = {name: text for name, text in {**FILES, **change}.items() if text is not None}

    with pytest.raises(errors.RenderFailed) as caught:
        await render_kustomize(files, "prod")

    assert str(caught.value.origin).startswith(place)
    assert says in caught.value.why
    assert hint in caught.value.hint
    assert "/dev/shm" not in str(caught.value)


async def test_a_setting_that_is_unknown(render_kustomize: conftest.Render) -> None:
    with pytest.raises(errors.RenderFailed, match="remot "):
        await render_kustomize(FILES, "prod", remot=True)


async def test_a_missing_tool_is_told(
    render_kustomize: conftest.Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(errors.ToolMissing, match="kustomize or kubectl"):
        await render_kustomize(FILES, "prod")


@pytest.mark.parametrize("kind", ["files: [password.txt]", "files: [token=password.txt]", "envs: [web.env]"])
async def test_secrets_are_generated_from_what_sops_encrypted(
    kind: str, render_kustomize: conftest.Render, tmp_path: pathlib.Path
) -> None:
    """Decrypted in memory; what is made of them is secret, and a tool that complains does not give them away."""
    vault = vaults.Vault(tmp_path, peers.require_peer("sops"))
    files: dict[str, str | bytes] = {
        "kustomization.yaml": f"secretGenerator: [{{name: web, {kind}}}]\n",
        "password.txt": vault.encrypt("hunter2hunter2", "password.txt"),
        "web.env": vault.encrypt("token=hunter2hunter2\n", "web.env"),
    }
    assert b"hunter2" not in b"".join(text for text in files.values() if isinstance(text, bytes))

    [made] = (await render_kustomize(files, decryptor=decrypting.SopsDecryptor("", vault.environ))).documents

    assert made.secret
    assert [base64.b64decode(value) for value in made.data["data"].values()] == [b"hunter2hunter2"]
    with pytest.raises(errors.UndriftError, match="nothing here can decrypt"):
        await render_kustomize(files)
