"""*Secrets stay secret*, on a cluster: what SOPS encrypted for manifests and charts is in the cluster's Secrets only."""

from __future__ import annotations

import base64
import json
import os
import pathlib
from collections.abc import Iterator, Mapping

import pytest

from tests import peers, planes, vaults
from tests.e2e import world as worlds
from undrift.testing import control_plane

OLD, NEW, VALUE, HAND = (
    "correct-horse-9f2b",
    "another-staple-77aa",
    "battery-in-a-chart-3e1d",
    "by-hand-5f0c-8e",
)
CONFIG = """\
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: main, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: plain}}
spec: {{source: {{path: plain}}, target: cluster, namespace: sealed}}
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: chart}}
spec:
  source: {{path: chart}}
  renderer: {{kind: helm, valueFiles: [secret.yaml]}}
  target: cluster
  namespace: sealed
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: plain}}\nstringData: {{password: {}}}\n"
TEMPLATE = """\
apiVersion: v1
kind: Secret
metadata: {name: chart}
stringData: {password: "{{ .Values.password }}"}
"""


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    with planes.started() as made:
        made.request("POST", "/api/v1/namespaces", {"metadata": {"name": "sealed"}})
        yield made


def held(plane: control_plane.ControlPlane, name: str) -> str:
    """The password that the cluster has."""
    found = plane.get(f"/api/v1/namespaces/sealed/secrets/{name}")
    return base64.b64decode(found["data"]["password"]).decode() if found else ""


def declare(world: worlds.World, plane: control_plane.ControlPlane, vault: vaults.Vault) -> None:
    """A Secret in a manifest, and one in the values of a chart."""
    world.write("undrift/cluster.yaml", CONFIG.format(kubeconfig=plane.kubeconfig()))
    world.write(
        "plain/secret.yaml", vault.encrypt(SECRET.format(OLD), "a.yaml", encrypted_regex="^stringData$")
    )
    world.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n")
    world.write("chart/templates/secret.yaml", TEMPLATE)
    world.write("chart/secret.yaml", vault.encrypt(f"password: {VALUE}\n", "b.yaml"))


def leaks(places: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Where a secret is found, as it is or in Base64."""
    for place, content in places.items():
        for secret in (OLD, NEW, VALUE, HAND):
            if secret.encode() in content or base64.b64encode(secret.encode()).rstrip(b"=") in content:
                yield place, secret


def test_what_was_encrypted_is_nowhere_but_on_the_cluster(
    world: worlds.World, plane: control_plane.ControlPlane, tmp_path: pathlib.Path
) -> None:
    """Applied, drifted, changed, refused and pruned: not in logs, plans, diffs, errors, history, database or marks."""
    vault = vaults.Vault(tmp_path, peers.require_peer("sops"))
    tools = str(peers.require_tool("helm").parent)
    world.environment |= {
        "SOPS_AGE_KEY": str(vault.identity), "PATH": os.pathsep.join([tools, os.environ["PATH"]]),
    }  # fmt: skip
    declare(world, plane, vault)
    said: list[str] = []

    def ask() -> None:
        for words in (
            ("status",),
            ("plan", "plain"),
            ("diff", "plain"),
            ("history", "plain"),
            ("plan", "chart"),
        ):
            said.extend(world.cli(*words, *more).stdout for more in ((), ("--output", "json")))

    world.push()
    world.start([*world.command(), "--verbose"])
    world.until(lambda: (held(plane, "plain"), held(plane, "chart")) == (OLD, VALUE))
    ask()

    changed = {"data": {"password": base64.b64encode(HAND.encode()).decode()}}
    path = "/api/v1/namespaces/sealed/secrets/plain"
    plane.request("PATCH", path, changed, "application/merge-patch+json")
    world.until(lambda: held(plane, "plain") == OLD)
    ask()

    world.write(
        "plain/secret.yaml", vault.encrypt(SECRET.format(NEW), "a.yaml", encrypted_regex="^stringData$")
    )
    world.push()
    world.until(lambda: held(plane, "plain") == NEW)
    marks = json.dumps(plane.get(path)["metadata"])

    wrong = SECRET.format(OLD).replace("{name: plain}", "{name: Not A Name}")
    world.write("plain/more.yaml", vault.encrypt(wrong, "c.yaml", encrypted_regex="^stringData$"))
    world.write("chart/templates/fails.yaml", '{{ fail (printf "not %s" .Values.password) }}')
    world.push()
    world.until(lambda: world.codes("plain") and world.codes("chart"))
    ask()

    world.write("plain/more.yaml", None)
    world.write("plain/secret.yaml", SECRET.format("''").replace("name: plain", "name: other"))
    world.push()
    world.until(lambda: not held(plane, "plain"))
    ask()
    world.stop()

    assert "Secret/sealed/plain" in "".join(said)
    places = {"said": "".join(said).encode(), "marks": marks.encode(), "log": world.log.read_bytes()}
    places |= {str(one): one.read_bytes() for one in world.state.rglob("*") if one.is_file()}
    assert not list(leaks(places))
