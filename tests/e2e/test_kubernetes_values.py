"""A chart whose values lie in another source: an input like its own files, at what that source says now."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from tests import peers, planes
from tests.e2e import world as worlds
from undrift.testing import control_plane

CONFIG = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: main, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
---
apiVersion: undrift.dev/v1
kind: Source
metadata: {{name: shared}}
spec: {{url: {shared}, branch: main, interval: 500ms}}
---
apiVersion: undrift.dev/v1
kind: Project
metadata: {{name: narrow}}
spec: {{sources: [config]}}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: web}}
spec:
  project: {project}
  source: {{path: web}}
  renderer: {{kind: helm, valueFiles: [{{source: shared, path: values/prod.yaml}}]}}
  target: cluster
  namespace: default
"""
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {greeting: "{{ .Values.greeting }}"}
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    with planes.started() as made:
        yield made


class Shared:
    """The repository that has the values."""

    def __init__(self, world: worlds.World) -> None:
        self.world = world
        self.repository = world.root / "shared.git"
        self.checkout = world.root / "shared"
        world.git("init", "-q", "--bare", "-b", "main", str(self.repository), where=world.root)
        world.git("clone", "-q", str(self.repository), str(self.checkout), where=world.root)
        world.git("checkout", "-q", "-B", "main", where=self.checkout)

    def commit(self, greeting: str | None) -> None:
        """The value, or no file at all."""
        place: pathlib.Path = self.checkout / "values/prod.yaml"
        if greeting is None:
            place.unlink()
        else:
            place.parent.mkdir(exist_ok=True)
            place.write_text(f"greeting: {greeting}\n")
        self.world.git("add", "-A", where=self.checkout)
        self.world.git("commit", "-q", "-m", "change", where=self.checkout)
        self.world.git("push", "-q", "origin", "main", where=self.checkout)


def test_values_of_another_source(world: worlds.World, plane: control_plane.ControlPlane) -> None:
    """A commit there is applied, a file that goes is told and changes nothing, and a project may forbid it."""
    world.environment["PATH"] = os.pathsep.join([str(peers.require_tool("helm").parent), os.environ["PATH"]])
    shared = Shared(world)
    shared.commit("hello")
    config = CONFIG.format(kubeconfig=plane.kubeconfig(), shared=shared.repository, project="default")
    world.write("undrift/cluster.yaml", config)
    world.write("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
    world.write("web/templates/all.yaml", TEMPLATE)
    world.push()

    def greeting() -> str:
        found = plane.get("/api/v1/namespaces/default/configmaps/web")
        return str(found["data"]["greeting"]) if found else ""

    world.start()
    world.until(lambda: greeting() == "hello")
    shared.commit("good morning")
    world.until(lambda: greeting() == "good morning")

    shared.commit(None)
    failure = world.until(lambda: world.glance("web").get("failure"))
    assert failure is not None
    assert failure["what"] == "the value file values/prod.yaml of source shared does not exist"
    assert greeting() == "good morning"

    shared.commit("good evening")
    world.until(lambda: greeting() == "good evening")
    world.write("undrift/cluster.yaml", config.replace("project: default", "project: narrow"))
    world.push()
    world.until(lambda: "UD603" in world.codes("web"))
    assert "source shared" in world.glance("web")["stops"][0]["what"]
