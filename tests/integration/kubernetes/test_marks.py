"""Whose is it? Copies of our marks, and what somebody else took: none of it is ours to delete."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import record
from undrift.testing import memory

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
_MERGE = "application/merge-patch+json"


async def slice_of(world: worlds.World) -> Any:
    """The EndpointSlice that the cluster makes of our Service."""
    path = "discovery.k8s.io/v1/endpointslices?labelSelector=kubernetes.io/service-name=web"
    async with asyncio.timeout(20):
        while True:
            found = world.get(path)["items"]
            if found:
                return found[0]
            await asyncio.sleep(0.1)


async def left_with_one(world: worlds.World) -> record.Reconciliation:
    """All but one ConfigMap left Git, after the watch told of what happened to them."""
    await asyncio.sleep(0.3)
    world.commit(world.config_map("stays", x="1"))
    told = await world.reconcile()
    assert told.ending in (record.Ending.APPLIED, record.Ending.IN_SYNC), told.failure
    return told


async def test_copies_of_our_marks_are_not_ours(world: worlds.World) -> None:
    """Controllers copy labels and annotations to what they make; an agent that lost its memory takes none of it."""
    world.commit(SERVICE, worlds.deployment())
    await world.until_healthy()
    copy = await slice_of(world)
    [replicas] = world.get("apps/v1/replicasets")["items"]
    assert copy["metadata"]["labels"][worlds.marks.LABEL] == "app"
    assert worlds.marks.ANNOTATION in replicas["metadata"]["annotations"]

    await world.restart()
    world.database = memory.MemoryDatabase()
    world.commit(worlds.deployment())
    told = await world.reconcile()

    assert worlds.changes(told) == ["delete Service/web"]
    known = {rid.kind for rid in (await world.database.recall("app")).inventory.entries}
    assert known == {"Deployment.apps", "Service"}
    assert world.get(f"apps/v1/replicasets/{replicas['metadata']['name']}") is not None


async def test_what_somebody_else_took_over_is_let_go(world: worlds.World) -> None:
    """Another agent's mark on it: it is neither deleted nor changed when it leaves our Git, and forgotten."""
    world.commit(world.config_map("stays", x="1"), world.config_map("taken", x="1"))
    await world.reconcile()
    found = world.get("configmaps/taken")
    mark = {**json.loads(found["metadata"]["annotations"][worlds.marks.ANNOTATION]), "agent": "another"}
    changed = {"metadata": {"annotations": {worlds.marks.ANNOTATION: json.dumps(mark)}}}
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/taken"
    version = world.plane.request("PATCH", path, changed, _MERGE)["metadata"]["resourceVersion"]

    told = await left_with_one(world)

    assert worlds.changes(told) == []
    assert world.get("configmaps/taken")["metadata"]["resourceVersion"] == version
    assert {rid.name for rid in (await world.database.recall("app")).inventory.entries} == {"stays"}


async def test_what_somebody_made_anew_is_theirs(world: worlds.World) -> None:
    """Ours was deleted, and a person made one of that name: it is not pruned when ours leaves Git."""
    world.commit(world.config_map("stays", x="1"), world.config_map("again", x="1"))
    await world.reconcile()
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/again"
    world.plane.request("DELETE", path)
    world.plane.kubectl("-n", world.namespace, "create", "configmap", "again", "--from-literal=x=theirs")

    told = await left_with_one(world)

    assert worlds.changes(told) == []
    assert world.get("configmaps/again")["data"] == {"x": "theirs"}


async def test_what_is_marked_to_stay_stays(world: worlds.World) -> None:
    """`undrift.dev/prune: "false"`: no longer declared, and still there."""
    kept = world.config_map("kept", x="1").replace(
        "{name: kept}", '{name: kept, annotations: {undrift.dev/prune: "false"}}'
    )
    world.commit(world.config_map("stays", x="1"), kept)
    await world.reconcile()

    told = await left_with_one(world)

    assert worlds.changes(told) == []
    assert [type(one) for one in told.warnings] == [errors.Protected], told.warnings
    assert world.get("configmaps/kept")["data"] == {"x": "1"}
