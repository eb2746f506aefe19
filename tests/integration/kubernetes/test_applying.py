"""Making it true on a real API server, and leaving alone what is."""

from __future__ import annotations

import asyncio

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import health, record

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"


async def test_an_application_is_made_and_becomes_healthy(world: worlds.World) -> None:
    """One wave of steps; then nothing is to be done, and nothing is asked."""
    world.commit(worlds.deployment(replicas=2), SERVICE, world.config_map(x="1"))

    first = await world.reconcile()
    second = await world.until_healthy()
    asked = world.requests()
    third = await world.reconcile()

    assert first.ending is record.Ending.APPLIED, first.failure and str(first.failure.error)
    assert worlds.changes(first) == ["create ConfigMap/a", "create Service/web", "create Deployment.apps/web"]
    assert second.health.status is health.Status.HEALTHY
    assert world.get("apps/v1/deployments/web")["status"]["availableReplicas"] == 2
    assert (third.ending, world.requests()) == (record.Ending.IN_SYNC, asked)


async def test_a_change_in_git_is_shown_field_by_field(world: worlds.World) -> None:
    """A field that changes, one that comes and one that goes; the rest is not touched."""
    world.commit(worlds.deployment(), world.config_map(x="1", old="1"))
    await world.reconcile()

    world.commit(worlds.deployment(image="nginx:1.28"), world.config_map(x="1", new="3"))
    told = await world.reconcile()

    assert told.ending is record.Ending.APPLIED, told.failure
    assert worlds.fields(told) == {
        "data.old": ("1", None),
        "data.new": (None, "3"),
        "spec.template.spec.containers.main.image": ("nginx:1.27", "nginx:1.28"),
    }
    assert world.get("configmaps/a")["data"] == {"x": "1", "new": "3"}


async def test_a_hand_edit_is_taken_back(world: worlds.World) -> None:
    """Also one by a client that takes ownership of the field; the other manager is named."""
    world.commit(worlds.deployment(replicas=1), world.config_map(x="1"))
    await world.reconcile()
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/a?fieldManager=kubectl-edit"
    hinted = asyncio.gather(world.drifted("ConfigMap/a"), world.drifted("Deployment.apps/web"))
    await asyncio.sleep(0)
    world.plane.request("PATCH", path, {"data": {"x": "2"}}, "application/merge-patch+json")
    world.plane.kubectl("-n", world.namespace, "scale", "deployment", "web", "--replicas=3")
    await hinted

    told = await world.reconcile()

    assert told.plan is not None
    assert worlds.fields(told) == {"data.x": ("2", "1"), "spec.replicas": (3, 1)}
    assert {change.reason.value for change in told.plan.changes} == {"drift"}
    assert world.get("configmaps/a")["data"] == {"x": "1"}
    managers = {name for change in told.plan.changes if change.live for name in change.live.managers}
    assert "kubectl-edit" in managers


async def test_what_is_no_longer_declared_is_pruned(world: worlds.World) -> None:
    world.commit(world.config_map(x="1"), world.config_map("b", x="1"))
    await world.reconcile()

    world.commit(world.config_map(x="1"))
    told = await world.reconcile()

    assert worlds.changes(told) == ["delete ConfigMap/b"]
    assert told.ending is record.Ending.APPLIED, told.failure
    assert world.get("configmaps/b") is None


async def test_what_is_there_already_is_not_taken_over(world: worlds.World) -> None:
    """Unless it is asked for; then fields that nobody declares any more go."""
    world.plane.kubectl("-n", world.namespace, "apply", "-f", "-", given=world.config_map(x="1", old="1"))
    world.commit(world.config_map(x="2"))

    refused = await world.reconcile()
    before = world.get("configmaps/a")
    taken = await world.reconcile(policy={"adopt": ("ConfigMap/*/a",)})

    assert refused.verdict is not None
    assert isinstance(refused.verdict.stops[0], errors.AdoptionRequired)
    assert before["data"] == {"x": "1", "old": "1"}
    assert taken.ending is record.Ending.APPLIED, taken.failure
    assert world.get("configmaps/a")["data"] == {"x": "2"}


async def test_after_a_restart_nothing_is_written(world: worlds.World) -> None:
    """Values that the server writes in another way are no difference, though they have to be asked for once."""
    limits = ', resources: {limits: {cpu: "1000m", memory: 1024Mi}}'
    world.commit(worlds.deployment(more=limits), SERVICE)
    await world.reconcile()
    await world.until_healthy()
    version = world.get("apps/v1/deployments/web")["metadata"]["resourceVersion"]

    await world.restart()
    told = await world.reconcile()

    assert told.ending is record.Ending.IN_SYNC, worlds.fields(told)
    assert world.get("apps/v1/deployments/web")["metadata"]["resourceVersion"] == version


async def test_a_refused_value_is_told_before_anything_is_changed(world: worlds.World) -> None:
    """With its field, its file and its line; and it is held back."""
    world.commit(world.config_map(x="1"), worlds.deployment())
    await world.reconcile()

    world.commit(world.config_map(x="2"), worlds.deployment(replicas=-1))
    told = await world.reconcile()

    assert told.failure is not None
    assert "spec.replicas" in told.failure.error.parts[0].why
    assert str(told.failure.error.parts[0].origin).startswith("app/all.yaml:")
    assert world.get("configmaps/a")["data"] == {"x": "1"}
    assert told.held_back is not None
