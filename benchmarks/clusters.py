"""A thousand applications of four resources each on a real control plane, and the bare loop that is the floor.

The set: ServiceAccount, ConfigMap, Service and Deployment with no replicas, in one Git repository; the control plane
runs on the same machine, its controllers at the pace that they have by default (20 requests a second).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import aiohttp

from benchmarks import fleet
from undrift.testing import control_plane

_CONNECTIONS = 16
_PLURALS = {
    "ServiceAccount": "/api/v1/namespaces/{space}/serviceaccounts/{name}",
    "ConfigMap": "/api/v1/namespaces/{space}/configmaps/{name}",
    "Service": "/api/v1/namespaces/{space}/services/{name}",
    "Deployment": "/apis/apps/v1/namespaces/{space}/deployments/{name}",
}


class Clusters(fleet.Fleet):
    """A fleet whose target is a cluster."""

    def __init__(self, root: pathlib.Path, count: int, plane: control_plane.ControlPlane) -> None:
        super().__init__(root, count)
        self.plane = plane

    def config(self) -> str:
        """The agent, its target and the namespace."""
        for name in ("bench", "floor"):
            self.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return _CONFIG.format(kubeconfig=self.plane.kubeconfig())

    def application(self, number: int) -> str:
        """One application."""
        return _APPLICATION.format(number=number)

    def write(self, number: int, version: str) -> None:
        """The manifests of one application."""
        folder = self.checkout / "apps" / f"app-{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "---\n".join(json.dumps(one) + "\n" for one in self.manifests(f"app-{number:04d}", version))
        folder.joinpath("all.yaml").write_text(text, encoding="utf-8")

    def manifests(self, name: str, version: str) -> Iterator[dict[str, Any]]:
        """What an application declares."""
        yield from manifests(name, version)

    def restart(self) -> None:
        """Kill the agent and start it again."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.start()

    def version_of(self, number: int) -> str:
        """What the ConfigMap of an application says."""
        found = self.plane.get(f"/api/v1/namespaces/bench/configmaps/app-{number:04d}")
        return str(found["data"]["version"]) if found else ""

    def all_healthy(self) -> bool:
        """Whether every application is healthy."""
        return all(one["health"]["status"] == "Healthy" for one in self.client.status())

    def count_applied(self) -> int:
        """How many Deployments are there."""
        listed = self.plane.get("/apis/apps/v1/namespaces/bench/deployments?limit=1")
        return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))

    def requests_of_agent(self) -> int:
        """Requests that the agent sent, watches not counted, by the API server's audit log."""
        return len([one for one in self._audited() if one["verb"] != "watch"])

    def writes(self) -> int:
        """Requests of the agent that were meant to change something."""
        changing = {"create", "update", "patch", "delete"}
        return len(
            [one for one in self._audited() if one["verb"] in changing and "dryRun" not in one["requestURI"]]
        )

    def _audited(self) -> list[dict[str, Any]]:
        lines = (self.plane.folder / "audit.log").read_text("utf-8").splitlines()
        told = (json.loads(line) for line in lines if line.endswith("}"))
        return [one for one in told if one.get("userAgent") == "undrift"]


@contextlib.contextmanager
def clusters(
    count: int = fleet.COUNT, *, hurried: bool = False, sort: type[Clusters] = Clusters
) -> Iterator[Clusters]:
    """A control plane and a fleet for the time of a block. Controllers that are `hurried` have no limit of requests."""
    programs = control_plane.find()
    if programs is None:
        raise SystemExit("the control plane is not built: make peers")
    root = pathlib.Path(tempfile.mkdtemp(prefix="undrift-bench-"))
    plane = control_plane.ControlPlane(root / "plane", programs)
    if not hurried:
        plane.controller_options = []
    _audit(plane)
    made = sort(root, count, plane)
    try:
        plane.start()
        made.create()
        yield made
    finally:
        made.stop()
        plane.stop()
        shutil.rmtree(root, ignore_errors=True)


def _audit(plane: control_plane.ControlPlane) -> None:
    """Have the API server note who asked for what."""
    plane.folder.mkdir()
    policy = plane.folder / "audit.json"
    rules = [{"level": "Metadata", "omitStages": ["RequestReceived", "ResponseStarted"]}]
    policy.write_text(json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    plane.options += [f"--audit-policy-file={policy}", f"--audit-log-path={plane.folder / 'audit.log'}"]


def manifests(name: str, version: str) -> Iterator[dict[str, Any]]:
    """The four resources of an application."""
    metadata = {"name": name}
    labels = {"app": name}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    yield settings(name, version)
    spec = {"selector": labels, "ports": [{"port": 80}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    container = {"name": "main", "image": "nginx:1.27", "envFrom": [{"configMapRef": metadata}]}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"serviceAccountName": name, "containers": [container]},
            },
        },
    }


def settings(name: str, version: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"version": version}}


def floor(plane: control_plane.ControlPlane, count: int) -> float:
    """Seconds of a bare loop of server-side applies over 16 connections: the same resources in a namespace of its own."""
    return asyncio.run(_floor(plane, count))


async def _floor(plane: control_plane.ControlPlane, count: int) -> float:
    trust = ssl.create_default_context(cafile=str(plane.certificate))
    headers = {
        "Authorization": f"Bearer {plane.tokens['admin']}",
        "Content-Type": "application/apply-patch+yaml",
    }
    todo = iter([one for number in range(count) for one in manifests(f"app-{number:04d}", "1")])

    async def worker(http: aiohttp.ClientSession) -> None:
        for one in todo:
            path = _PLURALS[one["kind"]].format(space="floor", name=one["metadata"]["name"])
            url = f"{plane.url}{path}?fieldManager=floor&force=true"
            async with http.patch(url, data=json.dumps(one), headers=headers, ssl=trust) as answer:
                await answer.read()
                if answer.status >= 300:  # noqa: PLR2004 - no success
                    raise SystemExit(f"{answer.status}: {await answer.text()}")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONNECTIONS)) as http:
        begun = time.perf_counter()
        await asyncio.gather(*(worker(http) for _ in range(_CONNECTIONS)))
        return time.perf_counter() - begun


_CONFIG = """\
apiVersion: undrift.dev/v1
kind: Agent
metadata: {{name: bench}}
---
apiVersion: undrift.dev/v1
kind: Target
metadata: {{name: cluster}}
spec: {{provider: kubernetes, agent: bench, settings: {{kubeconfig: {{file: {kubeconfig}}}}}}}
"""
_APPLICATION = """\
---
apiVersion: undrift.dev/v1
kind: Application
metadata: {{name: app-{number:04d}}}
spec: {{source: {{path: apps/app-{number:04d}}}, target: cluster, namespace: bench}}
"""
