"""Helm hooks of a deletion: run by a real agent before and after what a chart made goes, and at no other time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest

from tests import peers, planes
from tests.e2e import world as worlds
from undrift.testing import control_plane

MINUTE = 60.0
TARGET = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: main, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
"""
APPLICATION = """\
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: {name}}}
spec:
  source: {{path: web}}
  target: cluster
  namespace: {name}
  deletionPolicy: delete
  renderer: {{kind: helm}}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {greeting: {{ .Values.greeting }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data: {}
"""
HOOK = """\
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, annotations: {{"helm.sh/hook": {name}}}}}
spec:
  template:
    spec:
      restartPolicy: Never
      nodeSelector: {{{label}: "yes"}}
      containers: [{{name: main, image: {name}}}]
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    """Gone before tests that have no time to lose."""
    with planes.started() as made:
        yield made


@pytest.fixture
def name(plane: control_plane.ControlPlane) -> Iterator[str]:
    """The application's, and its namespace's, which is not its own."""
    made = f"web-{secrets.token_hex(3)}"
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": made}})
    yield made
    plane.request("DELETE", f"/api/v1/namespaces/{made}")


def declare(world: worlds.World, plane: control_plane.ControlPlane, name: str) -> None:
    """A chart whose hooks wait until a node bears a label that says who may go on."""
    folders = {str(peers.require_tool(tool).parent) for tool in ("kubectl", "helm")}
    world.environment["PATH"] = os.pathsep.join([*sorted(folders), os.environ["PATH"]])
    world.write("undrift/cluster.yaml", TARGET.format(kubeconfig=plane.kubeconfig()))
    world.write("undrift/web.yaml", APPLICATION.format(name=name))
    world.write("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
    world.write("web/values.yaml", "greeting: hello\n")
    world.write("web/templates/settings.yaml", SETTINGS)
    for hook in ("pre-delete", "post-delete"):
        world.write(f"web/templates/{hook}.yaml", HOOK.format(name=hook, label=f"{name}-{hook}"))


def let_go_on(plane: control_plane.ControlPlane, name: str, hook: str) -> None:
    """Now there is a node for the hook's Pod."""
    labels = {"metadata": {"labels": {f"{name}-{hook}": "yes"}}}
    plane.request("PATCH", "/api/v1/nodes/node-1", labels, "application/merge-patch+json")


def test_hooks_of_a_deletion_run_then_and_only_then(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """Synced, changed and pruned without them; then one first, the resources, the other one. The agent dies meanwhile."""
    space = f"/api/v1/namespaces/{name}/configmaps"
    jobs = f"/apis/batch/v1/namespaces/{name}/jobs"

    def found(job: str) -> bool:
        return plane.get(f"{jobs}/{job}") is not None

    declare(world, plane, name)
    first = world.push()
    world.start()
    world.settled(name, first)
    world.write("web/values.yaml", "greeting: bye\n")
    world.write("web/templates/settings.yaml", SETTINGS.partition("---\n")[0])
    world.settled(name, world.push())
    assert plane.get(f"{space}/more") is None
    assert plane.get(jobs)["items"] == []

    world.write("undrift/web.yaml", None)
    world.push("it leaves")
    world.until(lambda: found("pre-delete"))
    world.kill()
    world.start()
    world.until(lambda: world.glance(name).get("state"))
    assert plane.get(f"{space}/settings") is not None
    assert not found("post-delete")

    let_go_on(plane, name, "pre-delete")
    world.until(lambda: found("post-delete"), MINUTE)
    assert plane.get(f"{space}/settings") is None
    assert world.glance(name), "it is not over"

    let_go_on(plane, name, "post-delete")
    world.until(lambda: not world.glance(name), MINUTE)
    assert plane.get(jobs)["items"] == []
