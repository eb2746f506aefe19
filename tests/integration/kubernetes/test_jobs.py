"""Jobs that fail: what their container said last, and deadlines."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.integration.kubernetes import world as worlds
from undrift.model import health, record

NODE = "served-by-the-test"
JOB = """apiVersion: batch/v1
kind: Job
metadata: {{name: migrate}}
spec:
  backoffLimit: 0{more}
  template:
    spec:
      nodeName: {node}
      restartPolicy: Never
      containers:
        - {{name: main, image: example.com/migrate:1}}
"""


@dataclasses.dataclass
class Kubelet:
    """What an API server asks of a node for logs. What containers said, by namespace and container."""

    said: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    asked: list[str] = dataclasses.field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        named = request.match_info
        self.asked.append(request.path_qs)
        lines = self.said[named["namespace"], named["container"]].splitlines(keepends=True)
        return web.Response(text="".join(lines[-int(request.query["tailLines"]) :]))


@pytest.fixture
async def kubelet(world: worlds.World) -> AsyncIterator[Kubelet]:
    """A node whose Pods do what we say: kwok has no programs whose output could be read."""
    one = Kubelet()
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", one.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(world.plane.certificate, world.plane.certificate.with_suffix(".key"))
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    node = {
        "metadata": {"name": NODE},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": runner.addresses[0][1]}},
            "capacity": {"pods": "10"},
        },
    }
    world.plane.request("POST", "/api/v1/nodes", node)
    yield one
    world.plane.request("DELETE", f"/api/v1/nodes/{NODE}")
    await runner.cleanup()


async def pod_of(world: worlds.World) -> str:
    """The name of the Job's Pod."""
    async with asyncio.timeout(20):
        while True:
            found = world.get("pods?labelSelector=job-name=migrate")["items"]
            if found:
                return str(found[0]["metadata"]["name"])
            await asyncio.sleep(0.1)


async def ends(world: worlds.World, code: int) -> None:
    """Say in the node's place that the program ended."""
    container = {
        "name": "main", "image": "example.com/migrate:1", "imageID": "", "ready": False, "restartCount": 0,
        "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}},
    }  # fmt: skip
    status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]}
    path = f"/api/v1/namespaces/{world.namespace}/pods/{await pod_of(world)}/status"
    world.plane.request("PATCH", path, {"status": status}, "application/merge-patch+json")


async def ended(world: worlds.World, pod: str) -> None:
    """Say in the node's place that a Pod that has to end did."""
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pod}"
    async with asyncio.timeout(20):
        while True:
            if "deletionTimestamp" in world.plane.get(path)["metadata"]:
                break
            await asyncio.sleep(0.1)
    world.plane.request("DELETE", path, {"gracePeriodSeconds": 0})


async def told(world: worlds.World, *says: str, **declared: Any) -> record.Reconciliation:
    """Reconcile until the health says all of it."""
    async with asyncio.timeout(40):
        while True:
            found = await world.reconcile(**declared)
            if all(word in found.health.reason for word in says):
                return found
            await asyncio.sleep(0.2)


async def test_a_job_that_fails_says_what_its_program_said_last(
    world: worlds.World, kubelet: Kubelet
) -> None:
    """The exit code and the last lines, and no more of them than help."""
    said = "".join(f"step {number}\n" for number in range(20)) + "relation users exists\n"
    kubelet.said[world.namespace, "main"] = said
    world.commit(JOB.format(node=NODE, more=""))
    await world.reconcile()
    await ends(world, 1)

    found = await told(world, "exit code 1", "it said")

    assert found.health.status is health.Status.DEGRADED
    assert "relation users exists" in found.health.reason
    assert "step 19" in found.health.reason
    assert "step 10" not in found.health.reason
    assert "(app/all.yaml:" in found.health.reason
    asked = len(kubelet.asked)
    await world.reconcile()
    assert len(kubelet.asked) == asked


async def test_a_job_that_fails_stops_the_next_wave(world: worlds.World, kubelet: Kubelet) -> None:
    """What comes after a migration is not touched, at no time; and the migration is not run again by itself."""
    kubelet.said[world.namespace, "main"] = "no such host\n"
    later = worlds.deployment().replace(
        "metadata: {name: web", 'metadata: {annotations: {undrift.dev/wave: "1"}, name: web', 1
    )
    world.commit(JOB.format(node=NODE, more=""), later)
    await world.reconcile(policy={"health_timeout": 2.0})
    await ends(world, 2)

    found = await told(world, "exit code 2")
    await world.reconcile()

    assert "no such host" in found.health.reason
    assert world.get("apps/v1/deployments/web") is None
    assert len(world.get("pods?labelSelector=job-name=migrate")["items"]) == 1


async def test_a_job_that_runs_past_its_deadline(world: worlds.World, kubelet: Kubelet) -> None:
    """Kubernetes ends it and removes its Pod; the reason is the deadline."""
    world.commit(JOB.format(node=NODE, more="\n  activeDeadlineSeconds: 1"))
    await world.reconcile()
    await ended(world, await pod_of(world))

    found = await told(world, "DeadlineExceeded")

    assert found.health.status is health.Status.DEGRADED
    assert "longer than specified deadline" in found.health.reason
