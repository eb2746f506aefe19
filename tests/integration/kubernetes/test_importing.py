"""`undrift import kubernetes`: what runs in a namespace, as files that change nothing of it."""

from __future__ import annotations

import asyncio
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.kubernetes import world as worlds
from undrift.lib import yaml
from undrift.model import record

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app.kubernetes.io/instance: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: nginx:1.27
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: "1000m"}}
"""
CREATED = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: "busybox:1"}]}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: hunter2hunter2}
"""
APPLIED = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {a: b}}\ndata: {x: '1', later: 'yes'}\n"


def undrift(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("undrift")), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def furnished(world: worlds.World) -> worlds.World:
    """Objects that were made in each of the usual ways, and edited by hand since."""
    space = ("-n", world.namespace)
    world.plane.kubectl(*space, "apply", "-f", "-", given=WEB)
    world.plane.kubectl(*space, "set", "image", "deployment/web", "main=nginx:1.28")
    world.plane.kubectl(*space, "create", "-f", "-", given=CREATED)
    world.plane.kubectl(*space, "apply", "--server-side", "--field-manager=helm", "-f", "-", given=APPLIED)
    return world


async def test_what_runs_becomes_files_that_change_nothing(
    furnished: worlds.World, tmp_path: pathlib.Path
) -> None:
    """The first plan takes over and changes no field; once that is done there is nothing to do."""
    world, space = furnished, furnished.namespace
    kubeconfig = world.plane.kubeconfig()
    arguments = ("import", "kubernetes", space, "--to", str(tmp_path), "--set", f"kubeconfig={kubeconfig}")

    done = await asyncio.to_thread(undrift, *arguments, "-o", "json")
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    (tmp_path / ".git").mkdir()
    planned = await asyncio.to_thread(undrift, "plan", str(tmp_path), "-o", "json")

    assert sorted(told["applications"]) == ["shop", space]
    assert [one["id"] for one in told["left_out"]] == [f"Secret/{space}/password"]
    assert "hunter2" not in everything(tmp_path)
    plans = json.loads(planned.stdout)
    changes = [change for one in plans for wave in one["waves"] for change in wave]
    assert {change["action"] for change in changes} == {"adopt"}, planned.stdout
    assert [change for change in changes if change["fields"]] == []
    ids = {change["id"] for change in changes}
    assert ids == {
        f"{kind}/{space}/{name}"
        for kind, name in (
            ("Deployment.apps", "web"), ("Service", "web"), ("CronJob.batch", "nightly"), ("Job.batch", "once"),
            ("PersistentVolumeClaim", "data"), ("ConfigMap", "settings"),
        )
    }  # fmt: skip
    await taken_over(world, tmp_path / space)


def everything(folder: pathlib.Path) -> str:
    """All that was written."""
    return "".join(path.read_text() for path in folder.rglob("*.yaml"))


async def taken_over(world: worlds.World, folder: pathlib.Path) -> None:
    """Adopt the files for good, and look once more."""
    paths = {
        name: f"{group}/v1/namespaces/{world.namespace}/{name}"
        for group, name in (("/apis/apps", "deployments/web"), ("/apis/batch", "cronjobs/nightly"))
    }
    before = {name: world.plane.get(path)["spec"] for name, path in paths.items()}
    made = {one["metadata"]["name"] for one in world.get("apps/v1/replicasets")["items"]}
    for name in ("shop", world.namespace):
        found = sorted((folder / name).glob("*.yaml"))
        world.commit_files({path.name: path.read_text() for path in found}, name=name)
        adopted = await world.reconcile(name, policy={"adopt": ("*",)})
        assert adopted.ending is record.Ending.APPLIED, adopted.failure
        again = await world.reconcile(name)
        assert again.ending is record.Ending.IN_SYNC, worlds.fields(again)
    assert before == {name: world.plane.get(path)["spec"] for name, path in paths.items()}
    assert {one["metadata"]["name"] for one in world.get("apps/v1/replicasets")["items"]} == made


async def test_a_manifest_says_what_people_said(furnished: worlds.World, tmp_path: pathlib.Path) -> None:
    """Not what the server, a controller or a default put there."""
    kubeconfig = furnished.plane.kubeconfig()
    await asyncio.to_thread(
        undrift,
        "import",
        "kubernetes",
        furnished.namespace,
        "--to",
        str(tmp_path),
        "--set",
        f"kubeconfig={kubeconfig}",
    )

    def read(name: str) -> Any:
        [path] = tmp_path.rglob(name)
        return yaml.documents(path.read_text())[0].data

    web = read("deployment-web.yaml")
    wanted = yaml.documents(WEB.replace("nginx:1.27", "nginx:1.28").replace('"1000m"', '"1"'))[0].data
    wanted["metadata"]["namespace"] = furnished.namespace
    assert web == wanted
    assert read("configmap-settings.yaml")["data"] == {"x": "1", "later": "yes"}
    assert read("service-web.yaml")["spec"] == {
        "ports": [{"port": 80, "targetPort": 80}],
        "selector": {"app": "web"},
        "type": "ClusterIP",
    }
    assert "selector" not in read("job-once.yaml")["spec"]


async def test_what_cannot_be_imported_is_told(world: worlds.World, tmp_path: pathlib.Path) -> None:
    """And no file is overwritten."""
    config = f"kubeconfig={world.plane.kubeconfig()}"

    async def refused(*arguments: str) -> str:
        done = await asyncio.to_thread(undrift, "import", *arguments, "--to", str(tmp_path))
        assert done.returncode != 0
        return done.stderr

    assert "nothing in" in await refused("kubernetes", world.namespace, "--set", config)
    assert "there is no namespace" in await refused("kubernetes", "nowhere", "--set", config)
    assert "kubernetes" in await refused("kubernets", "x")
    assert "cannot be imported" in await refused("hosts", "/etc")
    assert "NAME=VALUE" in await refused("kubernetes", "x", "--set", "kubeconfig")
    world.plane.kubectl("-n", world.namespace, "create", "-f", "-", given=APPLIED)
    (tmp_path / world.namespace).mkdir()
    (tmp_path / world.namespace / "configmap-settings.yaml").write_text("mine")
    assert "is there already" in await refused("kubernetes", world.namespace, "--set", config)
    assert (tmp_path / world.namespace / "configmap-settings.yaml").read_text() == "mine"
    assert not (tmp_path / "undrift").exists()
