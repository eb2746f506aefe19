"""Repositories in the shapes that people have: each converges as it is, and stays as it is."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from tests import peers, planes
from tests.e2e import world as worlds
from undrift.testing import control_plane

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
APPLICATIONS = {
    "guestbook": ("guestbook", "plain"),
    "overlays": ("overlays/prod", "kustomize"),
    "umbrella": ("umbrella", "helm"),
    "jsonnet": ("jsonnet/guestbook", "jsonnet"),
    "definitions": ("definitions", "plain"),
}
TARGET = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: main, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
"""
APPLICATION = """\
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: {name}}}
spec:
  source: {{path: {path}}}
  renderer: {{kind: {renderer}}}
  target: cluster
  namespace: {name}
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    """Gone before tests that have no time to lose."""
    with planes.started() as made:
        yield made


def is_well(world: worlds.World, name: str) -> bool:
    found = world.glance(name)
    return bool(found) and found["health"]["status"] == "Healthy" and found["state"] == "in sync"


def test_every_example_converges_and_stays(world: worlds.World, plane: control_plane.ControlPlane) -> None:
    """Healthy with all that it declares; a Deployment that is deleted by hand comes back, and no other is touched."""
    folders = {str(peers.require_tool(tool).parent) for tool in ("kubectl", "helm")}
    world.environment["PATH"] = os.pathsep.join([*sorted(folders), os.environ["PATH"]])
    shutil.copytree(EXAMPLES, world.checkout, dirs_exist_ok=True)
    text = TARGET.format(kubeconfig=plane.kubeconfig())
    for name, (path, renderer) in APPLICATIONS.items():
        plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        text += APPLICATION.format(name=name, path=path, renderer=renderer)
    world.write("undrift/cluster.yaml", text)
    world.push("examples")
    world.start()

    for name in APPLICATIONS:
        world.until(lambda name=name: is_well(world, name), 60)  # type: ignore[misc]  # bound on purpose

    owned = {name: world.glance(name)["owned"] for name in APPLICATIONS}
    assert owned == {"guestbook": 2, "overlays": 3, "umbrella": 5, "jsonnet": 2, "definitions": 2}
    assert not [world.glance(name)["warnings"] for name in APPLICATIONS if world.glance(name)["warnings"]]
    path = "/apis/apps/v1/namespaces/overlays/deployments/prod-podinfo"
    found = plane.get(path)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example.com/podinfo:6.1.0"
    versions = {
        name: plane.get(f"/apis/apps/v1/namespaces/{name}/deployments")["items"][0]["metadata"]["uid"]
        for name in ("guestbook", "umbrella", "jsonnet")
    }
    plane.request("DELETE", path)
    world.until(lambda: (plane.get(path) or found)["metadata"]["uid"] != found["metadata"]["uid"])
    assert versions == {
        name: plane.get(f"/apis/apps/v1/namespaces/{name}/deployments")["items"][0]["metadata"]["uid"]
        for name in ("guestbook", "umbrella", "jsonnet")
    }
