"""What others write: autoscalers and those whom Git names are left alone, and nothing they wrote is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.integration.kubernetes import world as worlds
from undrift.model import application, record

JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  ttlSecondsAfterFinished: 600
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "busybox:1"}]}
"""


def scaled(world: worlds.World, replicas: int, manager: str = "kube-controller-manager") -> None:
    """As the controller of a HorizontalPodAutoscaler does it."""
    path = f"/apis/apps/v1/namespaces/{world.namespace}/deployments/web/scale?fieldManager={manager}"
    world.plane.request("PATCH", path, {"spec": {"replicas": replicas}}, "application/merge-patch+json")


def web(world: worlds.World) -> Any:
    return world.get("apps/v1/deployments/web")


async def seen(world: worlds.World, **declared: Any) -> record.Reconciliation:
    """A look after the watch told of a change."""
    await asyncio.sleep(0.3)
    return await world.reconcile(**declared)


async def test_an_autoscaler_keeps_its_replicas(world: worlds.World) -> None:
    """Through drift, through a commit to another field and a restart, without a request once that is known."""
    world.commit(worlds.deployment(replicas=1))
    await world.until_healthy()
    scaled(world, 3)

    quiet = await seen(world)
    world.commit(worlds.deployment(replicas=1, image="nginx:1.28"))
    updated = await world.reconcile()
    after = web(world)["spec"]["replicas"]
    asked = world.requests()
    still = await world.reconcile()
    asked_since = world.requests() - asked
    await world.restart()
    restarted = await world.reconcile()

    assert worlds.changes(quiet) == []
    assert worlds.fields(updated) == {
        "spec.template.spec.containers.main.image": ("nginx:1.27", "nginx:1.28")
    }
    assert updated.ending is record.Ending.APPLIED, updated.failure
    assert (after, web(world)["spec"]["replicas"]) == (3, 3)
    assert (still.ending, restarted.ending) == (record.Ending.IN_SYNC, record.Ending.IN_SYNC)
    assert asked_since == 0


async def test_a_person_who_scales_by_hand_does_not(world: worlds.World) -> None:
    world.commit(worlds.deployment(replicas=1))
    await world.reconcile()
    scaled(world, 3, manager="kubectl")

    told = await seen(world)

    assert worlds.fields(told) == {"spec.replicas": (3, 1)}
    assert web(world)["spec"]["replicas"] == 1


async def test_a_deployment_that_is_taken_over_keeps_what_its_autoscaler_set(world: worlds.World) -> None:
    world.plane.kubectl("-n", world.namespace, "apply", "-f", "-", given=worlds.deployment(replicas=1))
    scaled(world, 4)
    world.commit(worlds.deployment(replicas=1, image="nginx:1.28"))

    told = await world.reconcile(policy={"adopt": ("*",)})

    assert told.ending is record.Ending.APPLIED, told.failure
    assert web(world)["spec"]["replicas"] == 4


async def test_a_field_that_is_ignored_later_keeps_its_value(world: worlds.World) -> None:
    """Until somebody else writes it it is ours, and leaving it out would set it back to the default."""
    world.commit(worlds.deployment(replicas=3))
    await world.reconcile()
    policy = {"ignore": (application.Ignore("Deployment.apps/*", "/spec/replicas"),)}

    world.commit(worlds.deployment(replicas=5, image="nginx:1.28"))
    updated = await world.reconcile(policy=policy)
    kept = web(world)["spec"]["replicas"]
    scaled(world, 4, manager="somebody")
    await seen(world, policy=policy)
    world.commit(worlds.deployment(replicas=5, image="nginx:1.29"))
    again = await world.reconcile(policy=policy)

    assert [one.ending for one in (updated, again)] == [record.Ending.APPLIED] * 2, again.failure
    assert (kept, web(world)["spec"]["replicas"]) == (3, 4)


async def test_fields_are_left_to_a_manager_that_git_names(world: worlds.World) -> None:
    """Only those that it wrote; what else it is about is healed."""
    world.commit(worlds.deployment(), world.config_map(x="1", z="1"))
    await world.reconcile()
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/a?fieldManager="
    for manager, data in (("rotator", {"x": "2"}), ("ada", {"z": "2"})):
        world.plane.request("PATCH", path + manager, {"data": data}, "application/merge-patch+json")

    policy = {"ignore": (application.Ignore("*", "data", "rotator"),)}
    told = await seen(world, policy=policy)

    assert worlds.fields(told) == {"data.z": ("2", "1")}
    assert world.get("configmaps/a")["data"] == {"x": "2", "z": "1"}


async def test_a_job_that_was_removed_when_it_was_done_is_not_run_again(world: worlds.World) -> None:
    """Nor after a restart; a new manifest runs it again."""
    world.commit(JOB)
    await world.until_healthy()
    path = f"/apis/batch/v1/namespaces/{world.namespace}/jobs/once"
    world.plane.request("DELETE", path, {"propagationPolicy": "Background"})
    await asyncio.sleep(0.3)

    gone = await world.reconcile()
    await world.restart()
    restarted = await world.reconcile()
    world.commit(JOB.replace("busybox:1", "busybox:2"))
    again = await world.reconcile()

    assert [one.ending for one in (gone, restarted)] == [record.Ending.IN_SYNC] * 2
    assert gone.health.status.value == "Healthy"
    assert worlds.changes(again) == ["create Job.batch/once"]


async def test_what_a_controller_made_can_be_left(world: worlds.World) -> None:
    """By the policy that the resource itself names."""
    orphaning = worlds.deployment().replace(
        "{name: web}\nspec", "{name: web, annotations: {undrift.dev/propagation: Orphan}}\nspec"
    )
    world.commit(orphaning, world.config_map(x="1"))
    await world.until_healthy()

    world.commit(world.config_map(x="1"))
    told = await world.reconcile()
    await asyncio.sleep(0.5)

    assert worlds.changes(told) == ["delete Deployment.apps/web"]
    assert web(world) is None
    assert len(world.get("apps/v1/replicasets")["items"]) == 1
