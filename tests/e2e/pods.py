"""What tests of an agent in its cluster share: what it is to keep true, and what a kubelet would give it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

from tests.e2e import world as worlds
from undrift.testing import control_plane

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
SHOP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, namespace: default}
data: {greeting: hello}
"""
APPLICATION = """\
apiVersion: undrift.dev/v1
kind: Application
metadata: {name: shop}
spec: {source: {path: shop}, target: cluster}
"""


def declare(world: worlds.World) -> None:
    """A repository that nothing but an application is declared in, yet."""
    world.write("undrift/agent.yaml", None)
    world.write("undrift/shop.yaml", APPLICATION)
    world.write("shop/shop.yaml", SHOP)


def bootstrap(
    world: worlds.World, plane: control_plane.ControlPlane, *more: str, repository: str = ""
) -> subprocess.CompletedProcess[str]:
    """`undrift bootstrap kubernetes`, by somebody with access to the cluster."""
    return subprocess.run(
        [
            sys.executable, "-m", "undrift", "bootstrap", "kubernetes", "--repository", repository or str(world.repository),
            "--checkout", str(world.checkout), "--branch", "main", *more,
        ],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig())},
    )  # fmt: skip


def arguments(plane: control_plane.ControlPlane) -> list[str]:
    """What the Deployment says that the agent is started with."""
    deployment = plane.get("/apis/apps/v1/namespaces/undrift/deployments/undrift")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return [*container["args"], "--interval=500ms"]


def account(folder: pathlib.Path, plane: control_plane.ControlPlane) -> pathlib.Path:
    """A folder with the token of the agent's own ServiceAccount, and whom to trust."""
    path = "/api/v1/namespaces/undrift/serviceaccounts/undrift/token"
    token = plane.request(
        "POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    folder.mkdir()
    (folder / "token").write_text(token["status"]["token"])
    shutil.copy(plane.certificate, folder / "ca.crt")
    return folder


def is_well(world: worlds.World, name: str) -> bool:
    """In sync and healthy."""
    found = world.glance(name)
    return bool(found) and found["state"] == "in sync" and found["health"]["status"] == "Healthy"


def greeting(plane: control_plane.ControlPlane) -> str:
    """What the application's ConfigMap says."""
    found = plane.get("/api/v1/namespaces/default/configmaps/shop")
    return str(found["data"]["greeting"]) if found else ""
