"""An agent in the cluster that it keeps true, itself included: with its own account, and nobody can reach it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests import planes
from tests.e2e import pods
from tests.e2e import world as worlds
from undrift.lib import yaml
from undrift.testing import control_plane


@pytest.fixture(scope="module")
def plane() -> Iterator[control_plane.ControlPlane]:
    """Gone before tests that have no time to lose."""
    with planes.started() as made:
        made.kubectl("apply", "-f", made.programs["storage-class.yaml"])
        yield made


@pytest.fixture
def checkout(world: worlds.World) -> worlds.World:
    """A repository that nothing but an application is declared in, yet."""
    pods.declare(world)
    return world


def in_a_pod(world: worlds.World, plane: control_plane.ControlPlane) -> list[str]:
    """The agent as its Deployment starts it, with what a kubelet would put there: its account, and where the API is."""
    given = [one for one in pods.arguments(plane) if not one.startswith("--state-dir")]
    account = pods.account(world.root / "account", plane)
    world.environment |= {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(plane.port),
        "HOME": str(world.root / "nobody"),
        "KUBECONFIG": "",
    }
    place = pods.ACCOUNT
    mounted = f'mount -t tmpfs none /var/run && mkdir -p {place} && cp {account}/* {place}/ && exec "$0" "$@"'
    agent = [sys.executable, "-m", "undrift", *given, f"--state-dir={world.state}"]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, *agent]


def listens(process: psutil.Process) -> list[Any]:
    """Where a process and its children take connections from a network."""
    every = [process, *process.children(recursive=True)]
    return [one for each in every for one in each.net_connections("inet") if one.status == psutil.CONN_LISTEN]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting what a kubelet mounts needs root")
def test_it_installs_itself_and_keeps_itself_true(
    checkout: worlds.World, plane: control_plane.ControlPlane
) -> None:
    """With the rights that were printed, from Git alone; it converges, heals (itself, too) and listens nowhere."""
    world = checkout
    done = pods.bootstrap(world, plane, "-o", "json")
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert "create Deployment.apps/undrift/undrift" in told["changes"]
    again = pods.bootstrap(world, plane, "-o", "json")
    assert json.loads(again.stdout)["files"] == json.loads(again.stdout)["changes"] == [], again.stdout
    world.push("bootstrap")

    world.start(in_a_pod(world, plane))
    for name in ("undrift", "shop"):
        world.until(lambda name=name: pods.is_well(world, name))  # type: ignore[misc]  # bound on purpose
    path = "/apis/apps/v1/namespaces/undrift/deployments/undrift"
    plane.request("PATCH", path, {"spec": {"replicas": 0}}, "application/merge-patch+json")
    world.until(lambda: plane.get(path)["spec"]["replicas"] == 1)
    world.write("shop/shop.yaml", pods.SHOP.replace("hello", "good morning"))
    world.push("another greeting")
    world.until(lambda: pods.greeting(plane) == "good morning")

    assert world.process is not None
    assert listens(psutil.Process(world.process.pid)) == []
    policy = plane.get("/apis/networking.k8s.io/v1/namespaces/undrift/networkpolicies/undrift")
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert not policy["spec"].get("ingress")


def test_files_alone_change_nothing_on_the_cluster(
    checkout: worlds.World, plane: control_plane.ControlPlane
) -> None:
    """The agent runs as nobody on a read-only file system, and no right is a wildcard."""
    done = pods.bootstrap(checkout, plane, "--files-only", "-o", "json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["changes"] == []
    assert any("--files-only" in text for text in told["next"])
    [path] = checkout.checkout.glob("undrift-system/deployment.yaml")
    pod = yaml.documents(path.read_text())[0].data["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    rights = yaml.documents((checkout.checkout / "undrift-system" / "rights.yaml").read_text())[0].data
    assert not [rule for rule in rights["rules"] if "*" in json.dumps(rule)]


def test_what_cannot_be_installed_is_told(checkout: worlds.World, plane: control_plane.ControlPlane) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "undrift", "bootstrap", "hosts", "--repository", "x", "--checkout", str(checkout.checkout)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "cannot be installed on hosts" in done.stderr
    assert not pathlib.Path(checkout.checkout / "undrift-system").exists()
