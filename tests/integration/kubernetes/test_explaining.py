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


async def with_status(world: worlds.World, status: dict[str, Any]) -> None:
    """A Deployment whose Pod is in a state that only a real node could bring it to: we say it in its place."""
    pinned = worlds.deployment().replace("spec: {containers", "spec: {nodeName: nowhere, containers")
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
    assert (
        "the image nginx:1.27 of main cannot be pulled (ImagePullBackOff): manifest unknown" in found.reason
    )


async def test_a_program_that_crashes(world: worlds.World) -> None:
    ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
    await with_status(world, waiting("CrashLoopBackOff", "back-off", lastState=ended))

    found = await reason(world, "exit code 3")

    assert found.status is health.Status.DEGRADED


async def test_a_program_that_uses_too_much_memory(world: worlds.World) -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    await with_status(world, waiting("CrashLoopBackOff", lastState=ended))

    assert "more memory than its limit" in (await reason(world, "OOMKilled")).reason


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
