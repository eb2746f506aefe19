"""What is not well says why, from what the cluster knows of its Pods."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.kubernetes import world as worlds
from undrift.model import health

QUOTA = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {pods: '0'}}\n"


async def reason(world: worlds.World, says: str) -> health.Health:
    """Reconcile until the health says something."""
    async with asyncio.timeout(30):
        while True:
            told = await world.reconcile()
            if says in told.health.reason:
                return told.health
            await asyncio.sleep(0.2)


async def pod_of(world: worlds.World) -> str:
    """The name of the only Pod."""
    async with asyncio.timeout(20):
        while True:
            found = world.get("pods")["items"]
            if found:
                return str(found[0]["metadata"]["name"])
            await asyncio.sleep(0.1)


def pinned(manifest: str) -> str:
    """On a node that there is not, so that nobody but we say how its Pods do."""
    return manifest.replace("spec: {containers", "spec: {nodeName: nowhere, containers")


def place(manifest: str, word: str) -> str:
    """Where a word stands in what was committed, as reasons say it."""
    for number, line in enumerate(pinned(manifest).split("\n"), start=1):
        if word in line:
            return f"(app/all.yaml:{number}:{line.index(word) + 1})"
    raise AssertionError(word)


async def with_status(world: worlds.World, status: dict[str, Any], manifest: str = "") -> None:
    """A Deployment whose Pod is in a state that only a real node could bring it to: we say it in its place."""
    pinned = (manifest or worlds.deployment()).replace(
        "spec: {containers", "spec: {nodeName: nowhere, containers"
    )
    world.commit(pinned)
    await world.reconcile()
    path = f"/api/v1/namespaces/{world.namespace}/pods/{await pod_of(world)}/status"
    world.plane.request("PATCH", path, {"status": status}, "application/merge-patch+json")


def waiting(why: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": why, "message": message}}
    one = {
        "name": "main",
        "image": "nginx:1.27",
        "imageID": "",
        "ready": False,
        "restartCount": 3,
        "state": state,
    }
    return {"phase": "Pending", "containerStatuses": [{**one, **more}]}


async def test_an_image_that_is_not_there(world: worlds.World) -> None:
    await with_status(world, waiting("ImagePullBackOff", "manifest unknown"))

    found = await reason(world, "cannot be pulled")

    assert found.status is health.Status.DEGRADED
    said = "the image nginx:1.27 of main cannot be pulled (ImagePullBackOff): manifest unknown"
    assert said in found.reason
    assert found.reason.endswith(place(worlds.deployment(), "image:"))


async def test_a_program_that_crashes(world: worlds.World) -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    await with_status(world, waiting("CrashLoopBackOff", "back-off", lastState=ended))

    found = await reason(world, "exit code 3")

    assert found.status is health.Status.DEGRADED


async def test_a_program_that_uses_too_much_memory(world: worlds.World) -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    await with_status(world, waiting("CrashLoopBackOff", lastState=ended))

    assert "more memory than its limit" in (await reason(world, "OOMKilled")).reason


async def test_a_limit_is_said_and_where_it_is_set(world: worlds.World) -> None:
    limited = worlds.deployment(more=", resources: {limits: {memory: 64Mi}}")
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    await with_status(world, waiting("CrashLoopBackOff", lastState=ended), limited)

    found = await reason(world, "OOMKilled")

    assert "its limit of 64Mi" in found.reason
    assert found.reason.endswith(place(limited, "memory:"))


async def test_a_config_map_that_is_missing(world: worlds.World) -> None:
    """The reason leads to the line that names it."""
    named = worlds.deployment(more=", envFrom: [{configMapRef: {name: gone}}]")
    await with_status(world, waiting("CreateContainerConfigError", 'configmap "gone" not found'), named)

    found = await reason(world, "gone")

    assert found.status is health.Status.DEGRADED
    assert found.reason.endswith(place(named, "name: gone"))


async def test_a_probe_that_fails_with_its_answer(world: worlds.World) -> None:
    probed = worlds.deployment(more=", readinessProbe: {httpGet: {path: /, port: 80}}")
    running = {
        "phase": "Running",
        "containerStatuses": [{**waiting("")["containerStatuses"][0], "state": {"running": {}}}],
    }
    await with_status(world, running, probed)
    pod = world.get(f"pods/{await pod_of(world)}")
    event = {
        "metadata": {"name": "probe"},
        "involvedObject": {"kind": "Pod", "namespace": world.namespace, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
    }  # fmt: skip
    world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/events", event)

    found = await reason(world, "statuscode: 503")

    assert found.reason.endswith(place(probed, "readinessProbe:"))


async def test_a_pod_that_no_node_takes(world: worlds.World) -> None:
    greedy = worlds.deployment(more=', resources: {requests: {cpu: "1000000"}}')
    world.commit(greedy)

    found = await reason(world, "cannot be scheduled")

    assert "Insufficient cpu" in found.reason


async def test_a_quota_that_is_used_up(world: worlds.World) -> None:
    """The ReplicaSet is refused its Pods, and the Deployment says so."""
    world.commit(QUOTA, worlds.deployment())

    found = await reason(world, "exceeded quota")

    assert found.status is health.Status.DEGRADED


async def test_what_is_well_is_not_asked_about(world: worlds.World) -> None:
    world.commit(worlds.deployment())
    await world.until_healthy()
    await world.reconcile()
    asked = world.requests()

    await world.reconcile()

    assert world.requests() == asked
