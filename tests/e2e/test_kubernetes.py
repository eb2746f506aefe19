"""A cluster as a target: what is in Git is made true there, and kept true, by a real agent."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Iterator

import pytest

from tests import peers, planes
from tests.e2e import world as worlds
from undrift.testing import control_plane

MINUTE = 60.0
AWAY = {"UD501", "UD505"}
TARGET = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: main, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: {name}}}
spec: {{source: {{path: web}}, target: cluster, namespace: {name}}}
"""
MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata: {{name: {name}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: web}}
data: {{greeting: "{greeting}"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: main, image: "nginx:1.27"}}]}}
"""
CHART_OF = """\
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
TEMPLATE = """\
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
    """The application's, and its namespace's."""
    made = f"web-{secrets.token_hex(3)}"
    yield made
    if plane.get(f"/api/v1/namespaces/{made}"):
        plane.request("DELETE", f"/api/v1/namespaces/{made}")


def declare(world: worlds.World, plane: control_plane.ControlPlane, name: str) -> None:
    world.write("undrift/cluster.yaml", TARGET.format(kubeconfig=plane.kubeconfig(), name=name))
    world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="hello"))
    world.push("the first")


def is_well(world: worlds.World, name: str) -> bool:
    found = world.glance(name)
    return bool(found) and found["health"]["status"] == "Healthy" and bool(found["in_sync"])


def greeting(plane: control_plane.ControlPlane, name: str) -> str:
    found = plane.get(f"/api/v1/namespaces/{name}/configmaps/web")
    return str(found["data"]["greeting"]) if found else ""


def test_from_an_empty_namespace_to_a_healed_drift(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """Made, healthy, changed by a commit, edited by hand and healed, pruned."""
    declare(world, plane, name)
    world.start()
    world.until(lambda: is_well(world, name))

    world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="good morning"))
    world.push("another greeting")
    world.until(lambda: greeting(plane, name) == "good morning")

    begun = time.monotonic()
    path = f"/api/v1/namespaces/{name}/configmaps/web"
    plane.request("PATCH", path, {"data": {"greeting": "hi"}}, "application/merge-patch+json")
    world.until(lambda: greeting(plane, name) == "good morning")
    healed = time.monotonic() - begun

    world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="x").split("---\n")[0])
    world.push("only the namespace")
    world.until(lambda: plane.get(path) is None)

    assert healed < 5


def test_requests_are_counted_and_none_is_made_while_all_is_well(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """By verb, for each target; what is in order costs nothing but the watches."""
    declare(world, plane, name)
    world.start()
    world.until(lambda: is_well(world, name))
    time.sleep(3)

    def requests() -> dict[str, int]:
        targets = world.client.agent()["targets"]
        return dict(next(one["requests"] for one in targets if one["name"] == "cluster"))

    before = requests()
    assert before["PATCH"] >= 3
    assert before["WATCH"] >= 3
    time.sleep(3)
    assert requests() == before


def test_an_api_server_that_dies_and_comes_back(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """What was edited while nobody could look is healed afterwards; nothing is taken for gone."""
    declare(world, plane, name)
    world.start()
    world.until(lambda: is_well(world, name))

    plane.api_server.stop()
    world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="after the storm"))
    world.push("while it was down")
    time.sleep(2)
    plane.api_server.start()
    plane.wait_ready()

    world.until(lambda: greeting(plane, name) == "after the storm")
    plane.wait_working()
    world.until(lambda: is_well(world, name))
    assert plane.get(f"/apis/apps/v1/namespaces/{name}/deployments/web") is not None


@pytest.mark.timeout(240)
def test_an_api_server_that_hangs(world: worlds.World, plane: control_plane.ControlPlane, name: str) -> None:
    """Until the agent says so; others go on, and the change arrives when it answers again."""
    declare(world, plane, name)
    world.declare("site")
    world.files("site", {"/here": "1"})
    world.push("and a file")
    world.start()
    world.until(lambda: is_well(world, name) and is_well(world, "site"))

    plane.api_server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="late"))
        world.files("site", {"/here": "2"})
        world.push("while it hangs")
        world.until(lambda: (world.target / "here").read_text() == "2")
        others = time.monotonic() - begun
        world.until(lambda: AWAY & set(world.codes(name)), MINUTE)
        assert is_well(world, "site")
    finally:
        plane.api_server.signal(signal.SIGCONT)

    world.until(lambda: greeting(plane, name) == "late")
    plane.wait_working()
    world.until(lambda: is_well(world, name))
    assert others < MINUTE / 4


def test_somebody_who_keeps_fighting(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """After ten repairs the agent stops, and names the other writer; a commit goes through all the same."""
    declare(world, plane, name)
    world.start()
    world.until(lambda: is_well(world, name))
    path = f"/api/v1/namespaces/{name}/configmaps/web?fieldManager=legacy-operator"

    def fight() -> bool:
        if greeting(plane, name) == "hello":
            plane.request("PATCH", path, {"data": {"greeting": "mine"}}, "application/merge-patch+json")
        return "UD616" in world.codes(name)

    world.until(fight)
    [stop] = world.glance(name)["stops"]
    assert "legacy-operator" in stop["why"]
    assert greeting(plane, name) == "mine"

    world.write("web/all.yaml", MANIFESTS.format(name=name, greeting="a truce"))
    world.push("end it")
    world.until(lambda: greeting(plane, name) == "a truce")


def test_an_agent_that_is_killed_while_it_applies(
    world: worlds.World, plane: control_plane.ControlPlane, name: str
) -> None:
    """At any moment: what was half done is finished, what is no longer declared goes, a stranger's stays."""
    declare(world, plane, name)
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    stranger = {"metadata": {"name": "stranger"}, "data": {"mine": "1"}}
    plane.request("POST", f"/api/v1/namespaces/{name}/configmaps", stranger)
    spec = f"spec: {{source: {{path: web}}, target: cluster, namespace: {name}"
    config = TARGET.format(kubeconfig=plane.kubeconfig(), name=name)
    adopting = spec + ", policy: {adopt: ['Namespace/*'], deletionLimit: {count: 100, percent: 100}}"
    world.write("undrift/cluster.yaml", config.replace(spec, adopting))
    text = MANIFESTS.format(name=name, greeting="x").split("---\n")[0]
    for turn in range(4):
        maps = [
            f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{number + turn * 10}}}\n"
            for number in range(40)
        ]
        world.write("web/all.yaml", text + "".join(maps))
        world.push(f"turn {turn}")
        world.start()
        wanted = {f"map-{number + turn * 10}" for number in range(40)}
        end = time.monotonic() + 20
        while not wanted & names(plane, name) and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.03 * turn)
        world.kill()

    world.start()
    world.until(lambda: names(plane, name) == {f"map-{number}" for number in range(30, 70)} | {"stranger"})
    world.until(lambda: is_well(world, name))
    assert plane.get(f"/api/v1/namespaces/{name}/configmaps/stranger")["data"] == {"mine": "1"}


def names(plane: control_plane.ControlPlane, name: str) -> set[str]:
    """The ConfigMaps of a namespace, but for the one that every namespace has."""
    found = plane.get(f"/api/v1/namespaces/{name}/configmaps")["items"]
    return {one["metadata"]["name"] for one in found} - {"kube-root-ca.crt"}


def declare_chart(world: worlds.World, plane: control_plane.ControlPlane, name: str) -> None:
    """A chart whose hooks wait until a node bears a label that says who may go on."""
    folders = {str(peers.require_tool(tool).parent) for tool in ("kubectl", "helm")}
    world.environment["PATH"] = os.pathsep.join([*sorted(folders), os.environ["PATH"]])
    world.write("undrift/cluster.yaml", TARGET.partition("---\n")[0].format(kubeconfig=plane.kubeconfig()))
    world.write("undrift/web.yaml", CHART_OF.format(name=name))
    world.write("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
    world.write("web/values.yaml", "greeting: hello\n")
    world.write("web/templates/settings.yaml", TEMPLATE)
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

    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    declare_chart(world, plane, name)
    first = world.push()
    world.start()
    world.settled(name, first)
    world.write("web/values.yaml", "greeting: bye\n")
    world.write("web/templates/settings.yaml", TEMPLATE.partition("---\n")[0])
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
